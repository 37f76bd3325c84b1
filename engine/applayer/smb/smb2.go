package smb

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/sluicefw/sluice/engine/packet"
)

// header2 is the size of a header of SMB 2 (MS-SMB2, 2.2.1).
//
//	\xfe SMB | 8 status | 12 command | 16 flags | 20 next | 24 message | 36 tree | 40 session
const header2 = 64

const (
	flagAsync     = 0x02
	statusPending = 0x103
)

// message2 takes in one command or answer.
func (p *Parser) message2(dir packet.Dir, b []byte) {
	command := le.Uint16(b[12:])
	k := key{message: le.Uint64(b[24:])}
	session, tree, async := le.Uint64(b[40:]), le.Uint32(b[36:]), le.Uint32(b[16:])&flagAsync != 0
	if dir == packet.ToServer {
		if command == cancel2 { // nothing answers it
			return
		}
		p.request2(command, k, session, tree, b)
		return
	}
	status := le.Uint32(b[8:])
	if status == statusPending {
		return
	}
	i := p.find(2, command, k)
	if i < 0 && command == negotiate2 { // that SMB 1 began
		for n, tx := range p.txs.Live {
			if tx.Version == 1 && tx.command == negotiate1 {
				i = n
			}
		}
	}
	if i < 0 {
		return
	}
	tx := p.txs.Live[i]
	tx.status, tx.HasStatus = status, true
	if session != 0 {
		tx.Session = session
	}
	if !async {
		tx.Tree = tree
	}
	p.response2(tx, command, b)
	p.answer(i)
}

func (p *Parser) request2(command uint16, k key, session uint64, tree uint32, b []byte) {
	body := b[header2:]
	if command == read2 && p.waiting != nil && len(body) >= 32 && slices.Contains(p.pipes, tree) {
		// The answer to what was written: one transaction with it.
		tx := p.waiting
		tx.key, tx.answered, tx.command = k, false, read2
		return
	}
	pipe := slices.Contains(p.pipes, tree)
	if command == getInfo2 || command == setInfo2 || command == read2 || command == write2 && !pipe {
		return // as in Suricata, no transactions
	}
	tx := p.add(2, command, k)
	tx.Session, tx.Tree = session, tree
	switch command {
	case negotiate2: // size, number of dialects, ..., 12 GUID, 36 dialects
		if len(body) >= 36 {
			tx.ClientGUID = bytes.Clone(body[12:28])
			list := sub(body, 36, 2*int(le.Uint16(body[2:])))
			for ; len(list) >= 2 && len(tx.Dialects) < maxDialects; list = list[2:] {
				tx.Dialects = append(tx.Dialects, dialect2(le.Uint16(list)))
			}
		}
	case sessionSetup2: // 12 offset, 14 length of a security buffer
		if len(body) >= 16 {
			tx.NTLM = readNTLM(sub(b, int(le.Uint16(body[12:])), int(le.Uint16(body[14:]))))
		}
	case treeConnect2: // 4 offset, 6 length of a path
		if len(body) >= 8 {
			tx.share(appendUTF16(nil, sub(b, int(le.Uint16(body[4:])), int(le.Uint16(body[6:])))))
		}
	case create2: // 36 disposition, 40 options, 44 offset, 46 length of a name
		if len(body) >= 48 {
			tx.Opened = &File{Disposition: le.Uint32(body[36:]), DeleteOnClose: le.Uint32(body[40:])&0x1000 != 0}
			tx.Opened.named(appendUTF16(nil, sub(b, int(le.Uint16(body[44:])), int(le.Uint16(body[46:])))))
		}
	case ioctl2: // 4 code, 24 offset, 28 length of input
		if len(body) >= 32 {
			tx.Function, tx.HasFunc = le.Uint32(body[4:]), true
			if tx.Function == pipeTransceive {
				p.call(tx, packet.ToServer, sub(b, int(le.Uint32(body[24:])), int(le.Uint32(body[28:]))))
			}
		}
	case write2: // 2 offset, 4 length of data
		if len(body) >= 16 {
			p.call(tx, packet.ToServer, sub(b, int(le.Uint16(body[2:])), int(le.Uint32(body[4:]))))
			if tx.Call != nil {
				p.waiting = tx
			}
		}
	}
	p.request(tx)
}

func (p *Parser) response2(tx *Tx, command uint16, b []byte) {
	body := b[header2:]
	switch command {
	case negotiate2: // 4 dialect, 8 GUID, 28 transaction, 32 read, 36 write
		if len(body) >= 40 {
			p.dialect = dialect2(le.Uint16(body[4:]))
			tx.ServerGUID = bytes.Clone(body[8:24])
			tx.MaxRead, tx.MaxWrite = le.Uint32(body[32:]), le.Uint32(body[36:])
		}
	case treeConnect2: // 2 kind of share
		tx.ShareType = "UNKNOWN"
		if len(body) >= 4 && tx.status == 0 {
			tx.ShareType = shareType(body[2])
			tx.Pipe = body[2] == 2
			if tx.Pipe && len(p.pipes) < maxTrees && !slices.Contains(p.pipes, tx.Tree) {
				p.pipes = append(p.pipes, tx.Tree)
			}
		}
	case create2: // 8, 16, 24, 32 times, 48 size, 64 id
		if f := tx.Opened; f != nil && len(body) >= 80 && tx.status == 0 {
			f.Created, f.Accessed, f.Modified, f.Changed = seconds(body[8:]), seconds(body[16:]), seconds(body[24:]), seconds(body[32:])
			f.Size, f.ID = le.Uint64(body[48:]), bytes.Clone(body[64:80])
		}
	case ioctl2: // 32 offset, 36 length of output
		if len(body) >= 40 && tx.Call != nil {
			p.call(tx, packet.ToClient, sub(b, int(le.Uint32(body[32:])), int(le.Uint32(body[36:]))))
		}
	case read2: // 2 offset, 4 length of data
		if tx == p.waiting {
			tx.command = write2
			if len(body) >= 8 {
				p.call(tx, packet.ToClient, sub(b, int(body[2]), int(le.Uint32(body[4:]))))
			}
			if !tx.Call.Answered { // nothing came of it
				p.waiting = nil
			}
		}
	}
}

const maxDialects = 64

func shareType(kind byte) string {
	switch kind {
	case 1:
		return "FILE"
	case 2:
		return "PIPE"
	case 3:
		return "PRINT"
	}
	return "UNKNOWN"
}

// share takes in the path of a share; by its name it is a pipe until the answer says.
func (t *Tx) share(path []byte) {
	t.Share, t.HasShare = path, true
	t.Pipe = bytes.HasSuffix(bytes.ToUpper(path), []byte("IPC$"))
}

func (f *File) named(name []byte) {
	if f.Name = name; len(name) == 0 {
		f.Name = []byte("<share_root>")
	}
}

// readNTLM looks for the message with which a client logs in (MS-NLMP, 2.2.1.3): signature, kind,
// and for domain, user and host a length and an offset, at 28, 36 and 44; 60 flags, 64 version.
func readNTLM(b []byte) *NTLM {
	at := bytes.Index(b, []byte("NTLMSSP\x00\x03\x00\x00\x00"))
	if at < 0 || len(b)-at < 64 {
		return nil
	}
	b = b[at:]
	flags := le.Uint32(b[60:])
	text := func(at int) []byte {
		raw := sub(b, int(le.Uint32(b[at+4:])), int(le.Uint16(b[at:])))
		if flags&1 != 0 { // Unicode
			return appendUTF16(nil, raw)
		}
		return bytes.Clone(raw)
	}
	n := &NTLM{Domain: text(28), User: text(36), Host: text(44)}
	if flags&0x02000000 != 0 && len(b) >= 72 {
		n.Version = fmt.Sprintf("%d.%d build %d rev %d", b[64], b[65], le.Uint16(b[66:]), b[71])
	}
	return n
}
