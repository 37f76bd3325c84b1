// Package smb follows SMB 1, 2 and 3 over TCP, in NetBIOS session messages: commands with their
// answers, and the remote procedure calls in named pipes.
package smb

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// Kind is what a transaction is about, which says what of it is set.
type Kind uint8

const (
	Generic Kind = iota // nothing but its command
	Negotiate
	SessionSetup
	TreeConnect
	Create
	Transfer // of a file
	Rename
	SetInfo
	Ioctl
	Call // of a remote procedure
)

// Text is a part of a transaction that is text, or was.
type Text uint8

const (
	Name Text = iota // of a file; the old one of a Rename; of the share of a TreeConnect
	NewName
	Share           // of a Transfer
	RequestService  // these two of SMB 1
	ResponseService //
	Dialects        // each with a 0 behind it, of SMB 1
	NTLMDomain      // these three of NTLMSSP
	NTLMUser        //
	NTLMHost        //
	Realm           // of a Kerberos ticket
	ServerNames     // each with a 0 behind it, of a Kerberos ticket
	RequestOS       // these four of SMB 1
	RequestManager  //
	ResponseOS      //
	ResponseManager //
	requestStub     // of a Call
	responseStub    //
	content         // of a Transfer: the part that rules look at
	numTexts        = iota
)

// FileID is the handle of an open file: 16 bytes of SMB 2, of SMB 1 two with the session behind
// them. Records of SMB 1 show the first two.
type FileID struct {
	ID   [16]byte
	Size uint8
}

func fileID(b []byte) (f FileID) {
	f.Size = uint8(copy(f.ID[:], b))
	return f
}

// fid1 is the handle of a file of SMB 1 in its session.
func fid1(b []byte, session uint64) (f FileID) {
	f = fileID(b)
	f.ID[2], f.ID[3], f.ID[4], f.ID[5] = byte(session>>24), byte(session>>16), byte(session>>8), byte(session)
	f.Size = 6
	return f
}

// origin is what the transactions of a command are found by, beside their message.
type origin uint8

const (
	byCommand origin = iota + 1
	byHeader
	byTree
)

// NTLMVersion is that of the client's system.
type NTLMVersion struct {
	Major, Minor uint8
	Build        uint16
	Revision     uint8
}

// Tx is a command with its answer, a file as it is transferred, or a remote procedure call.
type Tx struct {
	applayer.TxState
	p *Parser

	Kind      Kind
	Version   uint8 // 1 or 2, 0 for none
	Command   uint16
	SessionID uint64
	TreeID    uint32
	Answered  bool // Status is set
	DOSError  bool
	Status    uint32

	Dialects2  []uint16 // of a Negotiate of SMB 2
	ClientGUID [16]byte
	ServerGUID [16]byte
	HasClient  bool // ClientGUID is set
	HasServer  bool

	HasNTLM, HasVersion, HasTicket, HasRequestOS, HasResponseOS bool // of a SessionSetup
	NTLMVersion                                                 NTLMVersion

	Pipe                                  bool // of a TreeConnect
	ShareType                             uint8
	told                                  bool // rules have seen what kind of share it is
	HasRequestService, HasResponseService bool

	Handle      FileID // of a file
	Directory   bool   // of a Create
	Delete      bool   // on close
	Disposition uint32
	Times       [4]uint64 // creation, access, write, change: as in SMB
	Size        uint64

	Class uint16 // of a SetInfo: of SMB 1 the subcommand
	Level uint16

	Function uint32 // of an Ioctl

	CallID            uint32 // of a Call
	Request, Response uint8
	HasRequest        bool
	HasResponse       bool
	Opnum, Context    uint16
	Fragments         [2]int
	StubSize          [2]int
	big               bool
	dir               packet.Dir // of a Transfer
	looked            int        // bytes of content that rules have looked at
	file              file.File
	origin            origin
	message           uint64
	complete          [2]bool // nothing more will come of a direction
	texts             [numTexts][]byte
	match             []byte // scratch of interfaces
	held              int
}

const txSize = int(unsafe.Sizeof(Tx{}))

// keepText is how much memory for a text a transaction keeps for reuse.
const keepText = 128

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	if t.p != nil {
		t.p.held -= t.held
	}
	for i := range t.texts {
		if t.texts[i] = t.texts[i][:0]; cap(t.texts[i]) > keepText {
			t.texts[i] = nil
		}
	}
	t.file.Reset()
	*t = Tx{TxState: t.TxState, texts: t.texts, match: t.match, Dialects2: t.Dialects2[:0], file: t.file}
	if cap(t.Dialects2) > keepText {
		t.Dialects2 = nil
	}
	t.TxState.Reset(id)
}

// Text returns a text.
func (t *Tx) Text(i Text) []byte { return t.texts[i] }

// set sets a text; append appends to it.
func (t *Tx) set(i Text, b []byte) {
	t.charge(-len(t.texts[i]))
	t.texts[i] = t.texts[i][:0]
	t.append(i, b)
}

func (t *Tx) append(i Text, b []byte) {
	b = b[:min(len(b), max(0, maxHeld-t.p.held))]
	t.texts[i] = append(t.texts[i], b...)
	t.charge(len(b))
}

func (t *Tx) charge(n int) {
	t.held += n
	t.p.held += n
}

// setNarrow sets a text of which every 0 is left out: how Suricata reads UTF-16.
func (t *Tx) setNarrow(i Text, b []byte) {
	t.set(i, nil)
	n := len(t.texts[i])
	for _, c := range b[:min(len(b), max(0, maxHeld-t.p.held))] {
		if c != 0 {
			t.texts[i] = append(t.texts[i], c)
		}
	}
	t.charge(len(t.texts[i]) - n)
}

// answer sets the status.
func (t *Tx) answer(status uint32, dos bool) {
	t.Answered, t.Status, t.DOSError = true, status, dos
}

// Dialect returns the dialect that was agreed on: of SMB 2 and 3 its number, else its name.
func (t *Tx) Dialect() (number uint16, name []byte) { return t.p.dialect, t.p.dialectName }

// MaxSizes returns how large reads and writes can be, 0 for what is not known.
func (t *Tx) MaxSizes() (read, write uint32) { return t.p.maxRead, t.p.maxWrite }

// Interfaces returns those that the connection's last bind asked for.
func (t *Tx) Interfaces() []dcerpc.Interface { return t.p.asked }

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	switch b {
	case applayer.SMBRequestInterface, applayer.SMBResponseInterface:
		return t.iface(i)
	}
	if i > 0 {
		return nil, false
	}
	switch b {
	case applayer.SMBNamedPipe:
		return t.texts[Name], t.Kind == TreeConnect && t.Pipe
	case applayer.SMBShare:
		return t.texts[Name], t.Kind == TreeConnect && !t.Pipe
	case applayer.SMBNTLMUser:
		return t.texts[NTLMUser], t.HasNTLM
	case applayer.SMBNTLMDomain:
		return t.texts[NTLMDomain], t.HasNTLM
	case applayer.SMBRequestStub:
		return t.texts[requestStub], t.Kind == Call && len(t.texts[requestStub]) > 0
	case applayer.SMBWrittenData:
		return t.texts[content], t.transfers(packet.ToServer) && len(t.texts[content]) > 0
	case applayer.SMBReadData:
		return t.texts[content], t.transfers(packet.ToClient) && len(t.texts[content]) > 0
	case applayer.SMBWrittenName:
		return t.texts[Name], t.transfers(packet.ToServer)
	case applayer.SMBReadName:
		return t.texts[Name], t.transfers(packet.ToClient)
	case applayer.SMBResponseStub:
		return t.texts[responseStub], t.Kind == Call && len(t.texts[responseStub]) > 0
	}
	return nil, false
}

// transfers says whether the transaction is a file that goes in a direction.
func (t *Tx) transfers(dir packet.Dir) bool { return t.Kind == Transfer && t.dir == dir }

// Piece implements applayer.Tx.
func (t *Tx) Piece(b applayer.Buffer, _ int) (offset int, last bool) {
	if b == applayer.SMBWrittenData || b == applayer.SMBReadData {
		return int(t.file.Size) - len(t.texts[content]), t.file.State != file.Open
	}
	return 0, true
}

// File implements applayer.Tx.
func (t *Tx) File(dir packet.Dir, i int) *file.File {
	if !t.transfers(dir) || i > 0 {
		return nil
	}
	return &t.file
}

// called says whether the transaction is the request of a remote procedure call.
func (t *Tx) called() bool {
	return t.Kind == Call && t.HasRequest && t.Request == dcerpc.Request
}

// iface returns interface i of those that were agreed on.
func (t *Tx) iface(i int) (value []byte, ok bool) {
	if !t.called() {
		return nil, false
	}
	for k := range t.p.asked {
		a := &t.p.asked[k]
		if !a.Accepted() {
			continue
		}
		if i == 0 {
			t.match = a.AppendMatch(t.match[:0])
			return t.match, true
		}
		i--
	}
	return nil, false
}

// Number implements applayer.Tx.
func (t *Tx) Number(n applayer.Number, i int) (value uint64, ok bool) {
	switch n {
	case applayer.SMBRequestVersion, applayer.SMBResponseVersion:
		return uint64(t.Version), i == 0 && t.Version > 0
	case applayer.SMBRequestOpnum, applayer.SMBResponseOpnum:
		return uint64(t.Opnum), i == 0 && t.called()
	}
	return 0, false
}

// LittleEndian reports the byte order of the stub data, for rules that read numbers in it.
func (t *Tx) LittleEndian() bool { return !t.big }

// UnixTime turns a time of SMB, in 100 ns since 1601, into seconds since 1970, 0 for times before.
func UnixTime(t uint64) uint64 {
	const seconds = 11644473600
	if t /= 10_000_000; t > seconds {
		return t - seconds
	}
	return 0
}
