package smb

import (
	"bytes"
	"slices"

	"github.com/sluicefw/sluice/engine/packet"
)

// header1 is the size of a header of SMB 1 (MS-CIFS, 2.2.3.1).
//
//	\xff SMB | 4 command | 5 status | 9 flags | 10 flags | 24 tree | 26 process | 28 user | 30 message
const header1 = 32

const (
	flagUnicode  = 0x8000
	flagNTStatus = 0x4000
)

// block is the body of a message: words, then bytes, which begin at offset at of the message.
type block struct {
	words, bytes []byte
	at           int
	wide         bool // strings are UTF-16
}

func readBlock(b []byte) (k block, ok bool) {
	words := sub(b, header1+1, 2*int(sub(b, header1, 1)[0]))
	at := header1 + 1 + len(words) + 2
	if words == nil || len(b) < at {
		return k, false
	}
	n := int(le.Uint16(b[at-2:]))
	return block{words, b[at:min(len(b), at+n)], at, le.Uint16(b[10:])&flagUnicode != 0}, true
}

// quiet1 are commands that move data: transactions, reads and writes.
var quiet1 = []uint8{0x25, 0x2e, 0x2f}

// skip passes over n bytes.
func (k *block) skip(n int) {
	n = min(n, len(k.bytes))
	k.bytes, k.at = k.bytes[n:], k.at+n
}

func (k *block) text(wide bool) (text []byte) {
	text, k.bytes, k.at = takeString(k.bytes, k.at, wide)
	return bytes.Clone(text)
}

// message1 takes in one command or answer.
func (p *Parser) message1(dir packet.Dir, b []byte) {
	if len(b) < header1+3 {
		p.fail(dir)
		return
	}
	command := uint16(b[4])
	k := key{message: uint64(le.Uint16(b[30:])), pid: le.Uint16(b[26:])}
	tree, user := le.Uint16(b[24:]), le.Uint16(b[28:])
	blk, ok := readBlock(b)
	if dir == packet.ToServer {
		if command == ntCancel1 { // nothing answers it
			return
		}
		if slices.Contains(quiet1, uint8(command)) {
			return // as in Suricata, no transactions
		}
		tx := p.add(1, command, k)
		if command != negotiate1 {
			tx.Session, tx.Tree = uint64(user), uint32(tree)
		}
		if ok {
			tx.request1(&blk)
		}
		p.request(tx)
		return
	}
	i := p.find(1, command, k)
	if i < 0 {
		return
	}
	tx := p.txs.Live[i]
	tx.status, tx.HasStatus = le.Uint32(b[5:]), true
	if le.Uint16(b[10:])&flagNTStatus == 0 && tx.status != 0 {
		tx.status, tx.DOS = uint32(le.Uint16(b[7:])), true
	}
	if command != negotiate1 {
		tx.Session, tx.Tree = uint64(user), uint32(tree)
	}
	if ok {
		p.response1(tx, &blk)
	}
	p.answer(i)
}

func (t *Tx) request1(k *block) {
	switch t.command {
	case negotiate1: // a list of 2 and a name
		for len(k.bytes) > 0 && len(t.Dialects) < maxDialects {
			k.skip(1)
			t.Dialects = append(t.Dialects, string(k.text(false)))
		}
	case sessionSetup1: // 14 length of a security buffer, in the form with 12 words
		if len(k.words) != 24 {
			return
		}
		n := int(le.Uint16(k.words[14:]))
		t.NTLM = readNTLM(k.bytes[:min(n, len(k.bytes))])
		k.skip(n)
		t.Native[packet.ToServer] = &Native{k.text(k.wide), k.text(k.wide)}
	case treeConnect1: // 6 length of a password, then path and service
		if len(k.words) < 8 {
			return
		}
		k.skip(int(le.Uint16(k.words[6:])))
		path := k.text(k.wide)
		t.share(bytes.TrimPrefix(path, []byte{'\\'})) // as Suricata shows it
		t.Service[packet.ToServer] = k.text(false)
	case ntCreate1: // 5 length of the name, 35 disposition, 39 options
		if len(k.words) < 48 {
			return
		}
		t.Opened = &File{Disposition: le.Uint32(k.words[35:]), DeleteOnClose: le.Uint32(k.words[39:])&0x1000 != 0}
		name := k.text(k.wide)
		t.Opened.named(bytes.TrimPrefix(name, []byte{'\\'}))
	}
}

func (p *Parser) response1(tx *Tx, k *block) {
	switch tx.command {
	case negotiate1: // 0 index of the dialect; its GUID before a security buffer
		if len(k.words) < 2 {
			return
		}
		if i := int(le.Uint16(k.words)); i < len(tx.Dialects) {
			p.dialect = tx.Dialects[i]
		}
		if len(k.words) == 34 && le.Uint32(k.words[19:])&0x80000000 != 0 && len(k.bytes) >= 16 {
			tx.ServerGUID = bytes.Clone(k.bytes[:16])
		}
	case sessionSetup1: // 6 length of a security buffer
		if len(k.words) >= 8 {
			k.skip(int(le.Uint16(k.words[6:])))
			tx.Native[packet.ToClient] = &Native{k.text(k.wide), k.text(k.wide)}
		}
	case treeConnect1:
		tx.Service[packet.ToClient] = k.text(false)
		tx.Pipe = bytes.Equal(tx.Service[packet.ToClient], []byte("IPC"))
	case ntCreate1: // 5 id, 11, 19, 27, 35 times, 47 allocated
		if f := tx.Opened; f != nil && len(k.words) >= 63 && tx.status == 0 {
			f.ID = []byte{k.words[6], k.words[5]}
			f.Created, f.Accessed, f.Modified, f.Changed = seconds(k.words[11:]), seconds(k.words[19:]), seconds(k.words[27:]), seconds(k.words[35:])
			f.Size = le.Uint64(k.words[47:])
		}
	}
}
