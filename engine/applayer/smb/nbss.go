package smb

import (
	"bytes"
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	nbssHeader = 4  // of a session message (RFC 1002, 4.3.1); SMB takes all 24 bits behind the type as length
	header1    = 32 // of SMB 1
	header2    = 64 // of SMB 2

	// prefix is how much of a message with a file's bytes is needed to know what they are of.
	prefix = 512

	// maxWhole is how large a message can be to be read whole. Of others this much is.
	maxWhole = applayer.MaxUnconsumed - nbssHeader - 1
)

// half is one direction.
type half struct {
	file     FileID // whose bytes are to come
	fileLeft int    // how many
	skip     int    // bytes to come behind them that are of no interest
	lost     bool   // there is a gap, or nonsense: the next message must be found
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	p.out, p.dir = out, dir
	defer func() { p.out = nil }()
	h := &p.halves[dir]
	switch {
	case h.fileLeft > 0:
		n := min(h.fileLeft, len(data), p.part(dir, h.file))
		h.fileLeft -= n
		p.fileBytes(dir, h.file, data[:n])
		return n
	case h.skip > 0:
		n := min(h.skip, len(data))
		h.skip -= n
		return n
	case h.lost:
		if n, found := findMessage(data); !found || n > 0 {
			return n
		}
		h.lost = false
	case len(data) < nbssHeader:
		return 0
	}
	size := int(binary.BigEndian.Uint32(data) & 0xffffff)
	switch data[0] {
	case 0: // session message
	case 0x81, 0x82, 0x83, 0x84, 0x85: // session request and answers, keep-alive
		h.skip = size
		return nbssHeader
	default:
		p.malformed()
		h.lost = true
		return 1
	}
	need := min(size, prefix)
	if len(data) < nbssHeader+need {
		return 0
	}
	message := data[nbssHeader : nbssHeader+need]
	if need < 4 {
		h.skip = size
		return nbssHeader
	}
	if !bytes.Equal(message[1:4], []byte("SMB")) {
		p.malformed()
		h.lost = true
		return nbssHeader
	}
	if size > need && !p.carriesFile(dir, message) {
		need = min(size, maxWhole)
		if len(data) < nbssHeader+need {
			return 0
		}
		message = data[nbssHeader : nbssHeader+need]
	}
	h.skip = size - need
	p.message(dir, message)
	h.fileLeft = min(h.fileLeft, h.skip)
	h.skip -= h.fileLeft
	p.finish()
	return nbssHeader + need
}

// findMessage returns how many bytes there are before what looks like a message, or may come to.
func findMessage(data []byte) (at int, found bool) {
	for i := nbssHeader; i+4 <= len(data); i++ {
		if data[i] >= 0xfd && data[i+1] == 'S' && data[i+2] == 'M' && data[i+3] == 'B' && data[i-nbssHeader] == 0 {
			return i - nbssHeader, true
		}
	}
	return max(0, len(data)-nbssHeader-3), false
}

// carriesFile says whether a message, of which the beginning is given, is the bytes of a file:
// they need not come whole.
func (p *Parser) carriesFile(dir packet.Dir, message []byte) bool {
	h, ok := readHeader(message)
	if !ok || h.response != (dir == packet.ToClient) {
		return false
	}
	var carries bool
	if h.version == 1 {
		carries = dir == packet.ToServer && h.command == cmd1WriteAndX || dir == packet.ToClient && h.command == cmd1Read
	} else {
		carries = h.next == 0 && (dir == packet.ToServer && h.command == cmd2Write || dir == packet.ToClient && h.command == cmd2Read)
	}
	if !carries {
		return false
	}
	t := p.trees.get(treeKey{h.session, h.tree})
	return t != nil && !t.pipe
}

// header is that of a command.
type header struct {
	version  uint8
	command  uint16
	status   uint32
	dos      bool // status is that of DOS
	unicode  bool
	response bool
	session  uint64
	tree     uint32
	message  uint64
	next     int // of SMB 2: offset of the next command in the message, 0 for none
	body     []byte
}

// readHeader reads the header of SMB 1 (MS-CIFS, 2.2.3.1) or SMB 2 (MS-SMB2, 2.2.1), whose first
// four bytes are as they should be.
//
//	SMB 1                          SMB 2
//	 4 command                      4 size, credits charged
//	 5 status                       8 status
//	 9 flags, in two bytes more     12 command
//	12 more of the process          16 flags
//	14 signature                    20 offset of the next command
//	24 tree, process, user,         24 message
//	30 message                      32 process and tree, or one number of an asynchronous answer
//	                                40 session, signature
func readHeader(b []byte) (h header, ok bool) {
	le := binary.LittleEndian
	switch {
	case b[0] == 0xff && len(b) >= header1:
		flags2 := le.Uint16(b[10:])
		return header{
			version: 1, command: uint16(b[4]), status: le.Uint32(b[5:]), response: b[9]&0x80 != 0,
			dos: flags2&0x4000 == 0, unicode: flags2&0x8000 != 0,
			tree: uint32(le.Uint16(b[24:])), session: uint64(le.Uint16(b[28:])), message: uint64(le.Uint16(b[30:])),
			body: b[header1:],
		}, true
	case b[0] == 0xfe && len(b) >= header2:
		h = header{
			version: 2, command: le.Uint16(b[12:]), status: le.Uint32(b[8:]), response: b[16]&1 != 0,
			message: le.Uint64(b[24:]), tree: le.Uint32(b[36:]), session: le.Uint64(b[40:]),
			next: int(le.Uint32(b[20:])), body: b[header2:],
		}
		if b[16]&2 != 0 && h.response { // asynchronous
			h.tree = 0
		}
		if h.next >= header2 && h.next <= len(b) {
			h.body = b[header2:h.next]
		} else if h.next != 0 {
			return h, false
		}
		return h, true
	}
	return h, false
}

// message reads a message, of which the end may be missing.
func (p *Parser) message(dir packet.Dir, b []byte) {
	for len(b) >= 4 {
		if b[0] == 0xfd || b[0] == 0xfc { // encrypted, compressed
			return
		}
		h, ok := readHeader(b)
		if !ok {
			p.malformed()
			return
		}
		if h.response == (dir == packet.ToClient) {
			switch {
			case h.version == 1:
				p.commands1(dir, &h)
			case h.response:
				p.answer2(&h)
			default:
				p.request2(&h)
			}
		}
		if h.next == 0 {
			return
		}
		b = b[h.next:]
	}
}

// Gap implements applayer.Parser.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, n int) {
	p.out, p.dir = out, dir
	h := &p.halves[dir]
	k := min(n, h.fileLeft)
	p.fileGap(dir, h.file, k)
	h.fileLeft, n = h.fileLeft-k, n-k
	k = min(n, h.skip)
	h.skip, n = h.skip-k, n-k
	if n > 0 {
		h.lost = true
		for _, tx := range p.txs.Live {
			if tx.Kind != Transfer { // they can have gaps
				tx.complete[packet.ToServer] = true
				tx.complete[dir] = true
			}
		}
		p.finish()
	}
	p.out = nil
}
