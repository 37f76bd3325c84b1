// Package tls follows a TLS connection until its handshake is over: what client and server say
// of themselves in the clear. SSL 2 compatible hellos are understood as having no name.
package tls

import (
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Limits. A handshake message may take several records, and a stack takes
// messages of at least 64 KiB.
const (
	maxRecord  = 1<<14 + 2048 // of ciphertext (RFC 5246, 6.2.3)
	maxMessage = 1 << 16      // of a handshake message's body

	recordHeader    = 5
	handshakeHeader = 4
)

// Record types (RFC 8446, 5.1; RFC 6520).
const (
	recordCCS         = 20
	recordAlert       = 21
	recordHandshake   = 22
	recordApplication = 23
	recordHeartbeat   = 24
)

// MaxMemory is about how many bytes a Parser can hold beyond its own size: a message in each
// direction, and what is kept of hellos and certificates.
const MaxMemory = 4 << 18

// half is one direction.
type half struct {
	skip      int    // bytes of an uninteresting record still to come
	record    int    // bytes of a handshake record still to come
	message   []byte // the handshake message so far, when it does not come in one piece
	encrypted bool   // the handshake is no longer in the clear
	begun     bool   // there was a record
}

func (h *half) reset() { *h = half{message: applayer.Recycle(h.message, keepBuffer)} }

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	h := &p.halves[dir]
	n := 0
	for p.emitted = false; !p.emitted && !p.done; {
		rest := data[n:]
		switch {
		case h.skip > 0:
			if len(rest) == 0 {
				return n
			}
			k := min(h.skip, len(rest))
			h.skip -= k
			n += k
		case h.record > 0:
			if len(rest) == 0 {
				return n
			}
			k := p.handshake(out, dir, rest[:min(h.record, len(rest))])
			h.record -= k
			n += k
		default:
			k := p.header(out, dir, rest)
			if k == 0 {
				return n
			}
			n += k
		}
	}
	return n
}

// header takes in the header of a record and returns its size, or 0 when there is not enough of
// it, or nothing to be made of it.
func (p *Parser) header(out *applayer.Sink, dir packet.Dir, b []byte) int {
	h := &p.halves[dir]
	if len(b) < recordHeader {
		return 0
	}
	if n := p.ssl2(out, dir, b); n > 0 {
		return n
	}
	kind, size := b[0], int(binary.BigEndian.Uint16(b[3:]))
	switch {
	case kind < recordCCS || kind > recordHeartbeat:
		p.fail(out, dir, applayer.AnomalyTLSInvalidRecordType)
		return 0
	case b[1] != 3 && !h.begun:
		p.fail(out, dir, applayer.AnomalyTLSInvalidRecordVersion)
		return 0
	case size > maxRecord:
		p.fail(out, dir, noFault)
		return 0
	}
	h.begun = true
	switch kind {
	case recordHandshake:
		if h.encrypted {
			break
		}
		switch {
		case size == 0:
			p.fail(out, dir, noFault)
		case size < handshakeHeader: // as in Suricata: nobody has a reason for such fragments
			p.fail(out, dir, applayer.AnomalyTLSInvalidSSLRecord)
		}
		h.record = size
		return recordHeader
	case recordHeartbeat:
		if !h.encrypted && size >= heartbeatHeader {
			if len(b) < recordHeader+heartbeatHeader {
				return 0
			}
			p.heartbeat(out, dir, b[recordHeader:], size)
		}
	case recordCCS:
		// Before a ServerHello it means nothing (RFC 8446, D.4).
		h.encrypted = p.tx.agreed
		if h.encrypted && p.halves[dir.Reverse()].encrypted {
			p.log(out)
		}
	case recordAlert:
		if dir == packet.ToClient && !p.tx.agreed {
			p.finish(out) // refused
		}
	case recordApplication:
		if p.tx.agreed { // else early data (RFC 8446, 2.3)
			out.Emit(applayer.Encrypted, dir, nil)
			p.finish(out)
		}
	}
	h.skip = size
	return recordHeader
}

const heartbeatHeader = 3

// heartbeat looks at a heartbeat in the clear (RFC 6520, 4): one that asks for more than it
// brings is the attack on CVE-2014-0160.
func (p *Parser) heartbeat(out *applayer.Sink, dir packet.Dir, b []byte, size int) {
	switch payload := int(binary.BigEndian.Uint16(b[1:])); {
	case b[0] != 1 && b[0] != 2 || payload == 0:
		p.note(out, dir, applayer.AnomalyTLSInvalidHeartbeatMessage)
	case payload > size:
		p.note(out, dir, applayer.AnomalyTLSOverflowHeartbeatMessage)
	}
}

// ssl2 recognises the first hellos in the format of SSL 2 (RFC 5246, E.2). It returns how many
// bytes of the header it took.
func (p *Parser) ssl2(out *applayer.Sink, dir packet.Dir, b []byte) int {
	if b[0]&0x80 == 0 {
		return 0
	}
	size := int(binary.BigEndian.Uint16(b) & 0x7fff)
	switch {
	case dir == packet.ToServer && !p.tx.greeted && b[2] == typeClientHello && (b[3] == 0 && b[4] == 2 || b[3] == 3):
		p.tx.client.Version = binary.BigEndian.Uint16(b[3:])
		if b[3] == 0 {
			p.tx.client.Version = versionSSL2
		}
		p.tx.greeted, p.tx.state = true, applayer.SSLClientHello
		p.emit(out, applayer.TLSClientHello, dir)
	case dir == packet.ToClient && p.tx.greeted && p.tx.client.Version == versionSSL2 && b[2] == 4: // SERVER-HELLO
		p.tx.server.Version = versionSSL2
		p.tx.agreed, p.tx.state = true, applayer.SSLServerHello
		p.emit(out, applayer.TLSServerHello, dir)
		p.finish(out) // what follows is not of the formats that are known here
	case dir == packet.ToClient && p.tx.greeted && p.tx.client.Version == versionSSL2 && b[2] == 0: // ERROR
		p.fail(out, dir, applayer.AnomalyTLSErrorMessageEncountered)
	default:
		return 0
	}
	p.halves[dir].skip = size - (recordHeader - 2)
	if p.halves[dir].skip < 0 {
		p.fail(out, dir, applayer.AnomalyTLSInvalidSSLv2Header)
	}
	return recordHeader
}

// handshake takes in a part of a record with handshake messages, up to the end of the first
// message at most. It returns how many bytes it took.
func (p *Parser) handshake(out *applayer.Sink, dir packet.Dir, fragment []byte) int {
	h := &p.halves[dir]
	if len(h.message) == 0 && len(fragment) >= handshakeHeader {
		if n := handshakeHeader + messageSize(fragment); n <= len(fragment) && n <= handshakeHeader+maxMessage {
			p.message(out, dir, fragment[0], fragment[handshakeHeader:n])
			return n
		}
	}
	n := 0
	if missing := handshakeHeader - len(h.message); missing > 0 {
		n = min(missing, len(fragment))
		h.message = append(h.message, fragment[:n]...)
		if len(h.message) < handshakeHeader {
			return n
		}
	}
	size := messageSize(h.message)
	if size > maxMessage {
		if knownMessage(h.message[0]) {
			p.fail(out, dir, noFault)
		} else {
			p.fail(out, dir, applayer.AnomalyTLSInvalidHandshakeMessage)
		}
		return n
	}
	k := min(handshakeHeader+size-len(h.message), len(fragment)-n)
	h.message = append(h.message, fragment[n:n+k]...)
	if len(h.message) == handshakeHeader+size {
		p.message(out, dir, h.message[0], h.message[handshakeHeader:])
		h.message = h.message[:0]
	}
	return n + k
}

// messageSize reads the length of a handshake message's body from its header.
func messageSize(b []byte) int { return int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }
