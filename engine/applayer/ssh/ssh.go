// Package ssh reads what client and server of SSH say of themselves in the clear: their banners
// and the algorithms that they offer (RFC 4253).
package ssh

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"unsafe"

	"golang.org/x/crypto/cryptobyte"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	maxBanner = 255   // with its line ending (RFC 4253, 4.2)
	maxPacket = 35000 // that everybody takes (RFC 4253, 6.1)
	keep      = 2 << 10

	msgKexInit = 20
	msgNewKeys = 21
)

// Side is what one side said.
type Side struct {
	Proto, Software []byte
	// Hassh is the text of the algorithms that the side offers for what it sends: key
	// exchange, encryption, MAC and compression.
	Hassh []byte

	hash    [2 * md5.Size]byte
	banner  bool // is read
	kex     bool // Hassh is set
	skip    int  // bytes of an uninteresting packet still to come
	newKeys bool // what follows is encrypted, or lost
}

func (s *Side) reset() {
	*s = Side{Proto: applayer.Recycle(s.Proto, keep), Software: applayer.Recycle(s.Software, keep), Hassh: applayer.Recycle(s.Hassh, keep)}
}

// Hash returns the MD5 hash of Hassh in hexadecimal digits, empty without one.
func (s *Side) Hash() []byte {
	if !s.kex {
		return nil
	}
	return s.hash[:]
}

// Tx is a connection: its only transaction.
type Tx struct {
	applayer.TxState
	Sides [2]Side // by packet.Dir of what they send
}

// Parser follows a connection until it is encrypted.
type Parser struct {
	tx     Tx
	ended  [2]bool
	logged bool
	done   bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.tx.TxState.Reset(0)
	for i := range p.tx.Sides {
		p.tx.Sides[i].reset()
	}
	p.ended, p.logged, p.done = [2]bool{}, false, false
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	s := &p.tx.Sides[dir]
	room, n := out.Room(), 0
	for out.Room() == room && !p.done && n < len(data) {
		rest := data[n:]
		k := 0
		switch {
		case s.newKeys:
			k = len(rest)
		case s.skip > 0:
			k = min(s.skip, len(rest))
			s.skip -= k
		case !s.banner:
			k = p.banner(out, dir, rest)
		default:
			k = p.packet(out, dir, rest)
		}
		if k == 0 {
			break
		}
		n += k
	}
	return n
}

// banner reads the first line. What a server may say before (RFC 4253, 4.2) ends the parser, as in Suricata.
func (p *Parser) banner(out *applayer.Sink, dir packet.Dir, b []byte) int {
	s := &p.tx.Sides[dir]
	end := bytes.IndexByte(b[:min(len(b), maxBanner)], '\n')
	if end < 0 {
		if len(b) < maxBanner {
			return 0
		}
		p.fail(out, dir, applayer.AnomalySSHLongBanner)
		return 0
	}
	line := bytes.TrimSuffix(b[:end], []byte{'\r'})
	version, found := bytes.CutPrefix(line, []byte("SSH-"))
	if !found {
		p.fail(out, dir, applayer.AnomalySSHInvalidBanner)
		return 0
	}
	proto, software, found := bytes.Cut(version, []byte{'-'})
	if !found {
		p.note(out, dir, applayer.AnomalySSHInvalidBanner)
	}
	software, _, _ = bytes.Cut(software, []byte{' '}) // comments
	s.Proto, s.Software = append(s.Proto[:0], proto...), append(s.Software[:0], software...)
	s.banner = true
	hook := applayer.SSHClientBanner
	if dir == packet.ToClient {
		hook = applayer.SSHServerBanner
	}
	out.Emit(hook, dir, &p.tx)
	return end + 1
}

// packet takes a binary packet (RFC 4253, 6): length, length of padding, payload.
func (p *Parser) packet(out *applayer.Sink, dir packet.Dir, b []byte) int {
	s := &p.tx.Sides[dir]
	if len(b) < 6 {
		return 0
	}
	size, kind := binary.BigEndian.Uint32(b), b[5]
	if size < 2 || size > maxPacket {
		p.fail(out, dir, applayer.AnomalySSHInvalidRecord)
		return 0
	}
	n := 4 + int(size)
	switch kind {
	case msgKexInit:
		if len(b) < n {
			return 0
		}
		if !s.kex {
			p.kexInit(out, dir, b[6:n])
		}
		return n
	case msgNewKeys:
		s.newKeys = true
		if p.tx.Sides[dir.Reverse()].newKeys {
			out.Emit(applayer.Encrypted, dir, nil)
			p.finish(out)
		}
	}
	s.skip = n - 6
	return 6
}

// kexInit reads the lists of algorithms (RFC 4253, 7.1): cookie, key exchange, host key, and then
// encryption, MAC and compression for each direction.
func (p *Parser) kexInit(out *applayer.Sink, dir packet.Dir, b []byte) {
	s := &p.tx.Sides[dir]
	var lists [8]cryptobyte.String
	rest := cryptobyte.String(b)
	ok := rest.Skip(16)
	for i := range lists {
		var n uint32
		ok = ok && rest.ReadUint32(&n) && rest.ReadBytes((*[]byte)(&lists[i]), int(n))
	}
	if !ok {
		p.fail(out, dir, applayer.AnomalySSHInvalidRecord)
		return
	}
	s.Hassh = append(s.Hassh[:0], lists[0]...)
	for i := 2 + int(dir); i < len(lists); i += 2 {
		s.Hassh = append(append(s.Hassh, ';'), lists[i]...)
	}
	sum := md5.Sum(s.Hassh)
	hex.Encode(s.hash[:], sum[:])
	s.kex = true
	hook := applayer.SSHClientKexInit
	if dir == packet.ToClient {
		hook = applayer.SSHServerKexInit
	}
	out.Emit(hook, dir, &p.tx)
}

func (p *Parser) note(out *applayer.Sink, dir packet.Dir, a applayer.Anomaly) {
	if p.tx.Note(a) {
		out.Emit(applayer.AnomalySeen, dir, &p.tx)
	}
}

func (p *Parser) fail(out *applayer.Sink, dir packet.Dir, a applayer.Anomaly) {
	p.note(out, dir, a)
	p.finish(out)
	out.Emit(applayer.ParserFailed, dir, nil)
}

// finish ends the transaction: what follows is encrypted, or cannot be read.
func (p *Parser) finish(out *applayer.Sink) {
	if !p.logged {
		out.Emit(applayer.TxDone, packet.ToServer, &p.tx)
	}
	p.logged, p.done = true, true
}

// Gap implements applayer.Parser: packets cannot be found again, and the other side is read on.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, _ int) {
	if p.tx.Sides[dir].newKeys = true; p.tx.Sides[dir.Reverse()].newKeys {
		p.finish(out)
	}
}

// End implements applayer.Parser.
func (p *Parser) End(out *applayer.Sink, dir packet.Dir) {
	if p.ended[dir] = true; p.ended[dir.Reverse()] {
		p.finish(out)
	}
}

// Release implements applayer.Parser.
func (p *Parser) Release() {}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	n := int(unsafe.Sizeof(*p))
	for i := range p.tx.Sides {
		s := &p.tx.Sides[i]
		n += cap(s.Proto) + cap(s.Software) + cap(s.Hassh)
	}
	return n
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return &p.tx }

// Name implements applayer.Parser: SSH names no server.
func (p *Parser) Name() []byte { return nil }

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	if i > 0 {
		return nil, false
	}
	client, server := &t.Sides[packet.ToServer], &t.Sides[packet.ToClient]
	switch b {
	case applayer.SSHClientProto:
		return client.Proto, client.banner
	case applayer.SSHServerProto:
		return server.Proto, server.banner
	case applayer.SSHClientSoftware:
		return client.Software, client.banner
	case applayer.SSHServerSoftware:
		return server.Software, server.banner
	case applayer.SSHHassh:
		return client.hash[:], client.kex
	case applayer.SSHHasshString:
		return client.Hassh, client.kex
	case applayer.SSHHasshServer:
		return server.hash[:], server.kex
	case applayer.SSHHasshServerString:
		return server.Hassh, server.kex
	}
	return nil, false
}
