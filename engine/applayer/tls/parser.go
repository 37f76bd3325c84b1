package tls

import (
	"crypto/sha1"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Handshake types (RFC 8446, 4; RFC 5246, 7.4).
const (
	typeHelloRequest        = 0
	typeClientHello         = 1
	typeServerHello         = 2
	typeNewSessionTicket    = 4
	typeEncryptedExtensions = 8
	typeCertificate         = 11
	typeServerKeyExchange   = 12
	typeCertificateRequest  = 13
	typeServerHelloDone     = 14
	typeClientKeyExchange   = 16
	typeCertificateStatus   = 22
)

// Parser follows a connection until its handshake is over.
type Parser struct {
	tx      Tx
	halves  [2]half
	emitted bool // in this call
	asked   bool // the server asked for the client's certificate
	ended   [2]bool
	logged  bool // TxDone is emitted
	done    bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.tx.reset()
	for i := range p.halves {
		p.halves[i].reset()
	}
	p.emitted, p.asked, p.logged, p.done, p.ended = false, false, false, false, [2]bool{}
}

func (p *Parser) emit(out *applayer.Sink, hook applayer.Hook, dir packet.Dir) {
	p.emitted = true
	out.Emit(hook, dir, &p.tx)
}

// note tells of an anomaly.
func (p *Parser) note(out *applayer.Sink, dir packet.Dir, a applayer.Anomaly) {
	if p.tx.Note(a) {
		p.emit(out, applayer.AnomalySeen, dir)
	}
}

// fail gives up because of an anomaly.
func (p *Parser) fail(out *applayer.Sink, dir packet.Dir, a applayer.Anomaly) {
	if a != noFault {
		p.note(out, dir, a)
	}
	p.finish(out)
	out.Emit(applayer.ParserFailed, dir, nil)
}

// log emits TxDone, once. The record is the client's, whoever completed it.
func (p *Parser) log(out *applayer.Sink) {
	if !p.logged {
		p.logged, p.emitted = true, true
		out.Emit(applayer.TxDone, packet.ToServer, &p.tx)
	}
}

// finish ends the connection's only transaction: what follows is encrypted.
func (p *Parser) finish(out *applayer.Sink) {
	p.identify(out)
	p.log(out)
	p.done, p.emitted = true, true
}

// knownMessage tells the types of messages that there are.
func knownMessage(kind uint8) bool {
	return kind <= typeNewSessionTicket && kind != 3 || kind >= typeEncryptedExtensions && kind <= typeCertificateStatus
}

// message takes in one handshake message.
func (p *Parser) message(out *applayer.Sink, dir packet.Dir, kind uint8, body []byte) {
	tx := &p.tx
	switch {
	case dir == packet.ToServer && kind == typeClientHello:
		p.clientHello(out, body)
	case !knownMessage(kind):
		p.fail(out, dir, applayer.AnomalyTLSInvalidHandshakeMessage)
	case dir == packet.ToServer && !tx.greeted:
		p.fail(out, dir, noFault)
	case dir == packet.ToClient && kind == typeServerHello:
		p.serverHello(out, body)
	case dir == packet.ToClient && !tx.agreed && kind != typeHelloRequest:
		p.fail(out, dir, noFault)
	case kind == typeCertificate:
		p.certificates(out, dir, body)
	case kind == typeServerKeyExchange && dir == packet.ToClient:
		p.moves(out, dir, applayer.SSLServerKeyExchange)
	case kind == typeClientKeyExchange && dir == packet.ToServer:
		p.moves(out, dir, applayer.SSLClientKeyExchange)
	case kind == typeCertificateRequest:
		p.asked = true
	case kind == typeServerHelloDone && dir == packet.ToClient:
		if p.identify(out); !p.asked {
			p.log(out)
		}
	}
}

// moves notes what the last message was.
func (p *Parser) moves(out *applayer.Sink, dir packet.Dir, state uint8) {
	p.tx.state = state
	hook := applayer.TLSClientState
	if dir == packet.ToClient {
		hook = applayer.TLSServerState
	}
	p.emit(out, hook, dir)
}

// identify emits TLSServerCertificate, once.
func (p *Parser) identify(out *applayer.Sink) {
	if chain := &p.tx.chains[packet.ToClient]; chain.first.present && !chain.shown {
		chain.shown = true
		p.emit(out, applayer.TLSServerCertificate, packet.ToClient)
	}
}

func (p *Parser) clientHello(out *applayer.Sink, body []byte) {
	tx := &p.tx
	h := &tx.client
	if tx.greeted { // after a HelloRetryRequest: the name counts, not the fingerprint
		h = &p.tx.again
	}
	if fault := h.ReadClient(body); fault != noFault {
		p.note(out, packet.ToServer, fault)
	}
	if h.several {
		p.note(out, packet.ToServer, applayer.AnomalyTLSMultipleSNIExtensions)
	}
	if tx.greeted {
		if string(h.SNI) == string(tx.client.SNI) {
			p.moves(out, packet.ToServer, applayer.SSLClientHello)
			return
		}
		tx.client.SNI = append(tx.client.SNI[:0], h.SNI...)
	} else {
		tx.ja3.text = tx.client.AppendJA3(tx.ja3.text[:0])
		tx.ja3.seal()
	}
	tx.greeted = true
	p.emit(out, applayer.TLSClientHello, packet.ToServer)
	p.moves(out, packet.ToServer, applayer.SSLClientHello)
}

// known tells the versions that there are, and drafts.
func known(version uint16) bool {
	return version == versionSSL2 || version >= 0x0300 && version <= Version13 || version>>8 == 0x7f
}

func (p *Parser) serverHello(out *applayer.Sink, body []byte) {
	tx := &p.tx
	retry, fault := tx.server.ReadServer(body)
	if fault != noFault {
		p.note(out, packet.ToClient, fault)
	}
	if !known(tx.server.Version) {
		p.fail(out, packet.ToClient, applayer.AnomalyTLSInvalidRecordVersion)
		return
	}
	if len(tx.ja3s.text) == 0 { // as in Suricata, of the retry request when there is one
		tx.ja3s.text = tx.server.AppendJA3S(tx.ja3s.text)
		tx.ja3s.seal()
	}
	if retry {
		return
	}
	tx.agreed = true
	tx.resumed = tx.client.ticket || tx.server.idLen > 0 && string(tx.server.SessionID()) == string(tx.client.SessionID())
	p.emit(out, applayer.TLSServerHello, packet.ToClient)
	p.moves(out, packet.ToClient, applayer.SSLServerHello)
}

// certificates takes in a chain of certificates (RFC 5246, 7.4.2), of which the first is read.
func (p *Parser) certificates(out *applayer.Sink, dir packet.Dir, body []byte) {
	chain := &p.tx.chains[dir]
	if fault := chain.read(body); fault != noFault {
		p.note(out, dir, fault)
	}
	p.moves(out, dir, applayer.SSLUnknown)
	if dir == packet.ToServer {
		chain.shown = true
		p.emit(out, applayer.TLSClientCertificate, dir)
		p.log(out)
	}
}

// chain is what one side sent to identify itself.
type chain struct {
	first       Certificate
	fingerprint [3*sha1.Size - 1]byte // of the first, in hexadecimal digits with colons
	count       int
	certs       []byte // the list, until Release after rules were shown it
	shown       bool   // to rules
}

func (c *chain) reset() {
	c.first.reset()
	c.count, c.certs, c.shown = 0, applayer.Recycle(c.certs, keepBuffer), false
}

func (c *chain) memory() int { return c.first.memory() + cap(c.certs) }

// read takes in a Certificate message, as far as it is right.
func (c *chain) read(body []byte) fault {
	c.reset()
	if len(body) < 3 {
		return noFault
	}
	n := int(body[0])<<16 | int(body[1])<<8 | int(body[2])
	if n > len(body)-3 {
		return noFault // as in Suricata
	}
	list := body[3 : 3+n]
	c.certs = append(c.certs, list...)
	for len(list) > 0 {
		der, rest, ok := takeCertificate(list)
		if !ok {
			return applayer.AnomalyTLSInvalidCertificate
		}
		list = rest
		if c.count == 0 {
			if fault := c.first.read(der); fault != noFault {
				c.certs = c.certs[:0]
				return fault
			}
			sum := sha1.Sum(der)
			appendColons(c.fingerprint[:0], sum[:], "0123456789abcdef")
		}
		c.count++
	}
	return noFault
}

// takeCertificate takes the first certificate off a list.
func takeCertificate(list []byte) (der, rest []byte, ok bool) {
	if len(list) < 3 {
		return nil, nil, false
	}
	n := int(list[0])<<16 | int(list[1])<<8 | int(list[2])
	if n > len(list)-3 {
		return nil, nil, false
	}
	return list[3 : 3+n], list[3+n:], true
}

// Gap implements applayer.Parser: records cannot be found again.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, _ int) {
	if dir == packet.ToServer && !p.tx.greeted {
		out.Emit(applayer.ParserFailed, dir, nil)
	}
	if dir == packet.ToServer || p.tx.greeted {
		p.finish(out)
	}
}

// End implements applayer.Parser.
func (p *Parser) End(out *applayer.Sink, dir packet.Dir) {
	p.ended[dir] = true
	if p.ended[dir.Reverse()] {
		p.finish(out)
	}
}

// Release implements applayer.Parser.
func (p *Parser) Release() {
	for i := range p.tx.chains {
		if c := &p.tx.chains[i]; c.shown {
			c.certs = applayer.Recycle(c.certs, keepBuffer)
		}
	}
}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	return int(unsafe.Sizeof(*p)) + cap(p.halves[0].message) + cap(p.halves[1].message) + p.tx.memory()
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return &p.tx }

// Name implements applayer.Parser with the server's name.
func (p *Parser) Name() []byte { return p.tx.client.SNI }
