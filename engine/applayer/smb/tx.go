package smb

import (
	"fmt"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

// Tx is one command with its answer.
type Tx struct {
	applayer.TxState
	Version   uint8 // 1 or 2
	Dialect   string
	Session   uint64
	Tree      uint32
	HasStatus bool
	DOS       bool // the status is an error code of DOS
	status    uint32
	command   uint16
	key       key
	answered  bool

	Dialects               []string // of a negotiation, that the client offers
	ClientGUID, ServerGUID []byte
	MaxRead, MaxWrite      uint32

	NTLM      *NTLM // of a session's set-up
	Native    [2]*Native
	Share     []byte // of a tree's connection
	Pipe      bool
	ShareType string
	Service   [2][]byte // of SMB 1
	HasShare  bool

	Opened   *File // of a file's opening
	Function uint32
	HasFunc  bool
	Call     *dcerpc.Call // over a pipe
	asked    *[]dcerpc.Interface
	iface    [20]byte
}

// key tells which answer belongs to a command.
type key struct {
	message  uint64
	tree     uint32
	pid, uid uint16
}

// NTLM is what a client says of itself (MS-NLMP, 2.2.1.3).
type NTLM struct {
	Domain, User, Host []byte
	Version            string // empty when it is not there
}

// Native is what one side of SMB 1 says of itself.
type Native struct{ OS, LanMan []byte }

// File is a file that is opened.
type File struct {
	Name                                 []byte
	Disposition                          uint32
	DeleteOnClose                        bool
	Created, Accessed, Modified, Changed int64 // seconds since 1970
	Size                                 uint64
	ID                                   []byte
}

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	*t = Tx{TxState: t.TxState}
	t.TxState.Reset(id)
}

func (t *Tx) memory() int {
	n := int(unsafe.Sizeof(*t)) + len(t.Dialects)*int(unsafe.Sizeof("")) + len(t.ClientGUID) + len(t.ServerGUID) + len(t.Share) +
		len(t.Service[0]) + len(t.Service[1])
	for _, d := range t.Dialects {
		n += len(d)
	}
	if t.NTLM != nil {
		n += int(unsafe.Sizeof(*t.NTLM)) + len(t.NTLM.Domain) + len(t.NTLM.User) + len(t.NTLM.Host) + len(t.NTLM.Version)
	}
	for _, native := range t.Native {
		if native != nil {
			n += int(unsafe.Sizeof(*native)) + len(native.OS) + len(native.LanMan)
		}
	}
	if t.Opened != nil {
		n += int(unsafe.Sizeof(*t.Opened)) + len(t.Opened.Name) + len(t.Opened.ID)
	}
	if t.Call != nil {
		n += int(unsafe.Sizeof(*t.Call)) + t.Call.Memory()
	}
	return n
}

// Command returns the name of the command.
func (t *Tx) Command() string {
	if t.Version == 1 {
		if name, ok := commands1[uint8(t.command)]; ok {
			return "SMB1_COMMAND_" + name
		}
		return fmt.Sprintf("SMB1_COMMAND_UNKNOWN_%02X", t.command)
	}
	if int(t.command) < len(commands2) {
		return "SMB2_COMMAND_" + commands2[t.command]
	}
	return fmt.Sprintf("SMB2_COMMAND_UNKNOWN_%02X", t.command)
}

// Status returns the code of the answer and its name, empty where it is not known.
func (t *Tx) Status() (code uint32, name string) { return t.status, statuses[t.status] }

// FunctionName returns the name of a control code.
func (t *Tx) FunctionName() string {
	if name, ok := functions[t.Function]; ok {
		return name
	}
	return fmt.Sprintf("0x%08x", t.Function)
}

// DispositionName returns the name of what to do where a file exists, or does not.
func (f *File) DispositionName() string {
	if int(f.Disposition) < len(dispositions) {
		return dispositions[f.Disposition]
	}
	return "UNKNOWN"
}

// LittleEndian reports the byte order of the stubs, for rules that read numbers in it.
func (t *Tx) LittleEndian() bool { return t.Call == nil || t.Call.Little }

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	call := t.Call
	switch b {
	case applayer.SMBRequestInterface, applayer.SMBResponseInterface:
		if call != nil && t.asked != nil && call.Asked && call.Request == dcerpc.Request {
			return dcerpc.Accepted(*t.asked, call.Context, i, &t.iface)
		}
		return nil, false
	}
	if i > 0 {
		return nil, false
	}
	switch b {
	case applayer.SMBNamedPipe:
		return t.Share, t.HasShare && t.Pipe
	case applayer.SMBShare:
		return t.Share, t.HasShare && !t.Pipe
	case applayer.SMBNTLMUser:
		if t.NTLM != nil {
			return t.NTLM.User, true
		}
	case applayer.SMBNTLMDomain:
		if t.NTLM != nil {
			return t.NTLM.Domain, true
		}
	case applayer.SMBRequestStub:
		if call != nil {
			return call.Stub[packet.ToServer], len(call.Stub[packet.ToServer]) > 0
		}
	case applayer.SMBResponseStub:
		if call != nil {
			return call.Stub[packet.ToClient], len(call.Stub[packet.ToClient]) > 0
		}
	}
	return nil, false
}

// Number implements applayer.Tx.
func (t *Tx) Number(n applayer.Number, i int) (value uint64, ok bool) {
	if i > 0 {
		return 0, false
	}
	switch n {
	case applayer.SMBRequestVersion, applayer.SMBResponseVersion:
		return uint64(t.Version), true
	case applayer.SMBRequestOpnum, applayer.SMBResponseOpnum:
		if t.Call != nil && t.Call.Asked && t.Call.Request == dcerpc.Request {
			return uint64(t.Call.Opnum), true
		}
	}
	return 0, false
}
