package eve

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/applayer/smb"
	"github.com/sluicefw/sluice/engine/packet"
)

// smb writes a command and its answer.
func (o *object) smb(tx *smb.Tx) {
	o.open("smb")
	o.uint("id", tx.ID+1)
	switch number, name := tx.Dialect(); {
	case number != 0:
		o.str("dialect", smb.DialectName(number))
	case len(name) > 0:
		o.text("dialect", name)
	default:
		o.str("dialect", "unknown")
	}
	o.optStr("command", tx.CommandName())
	if tx.Answered {
		name, code := tx.StatusName()
		o.str("status", name)
		o.str("status_code", code)
	}
	o.uint("session_id", tx.SessionID)
	o.uint("tree_id", uint64(tx.TreeID))
	switch tx.Kind {
	case smb.Negotiate:
		o.smbNegotiate(tx)
	case smb.SessionSetup:
		o.smbSession(tx)
	case smb.TreeConnect:
		o.smbTree(tx)
	case smb.Create:
		o.smbCreate(tx)
	case smb.Transfer:
		o.text("filename", tx.Text(smb.Name))
		o.text("share", tx.Text(smb.Share))
		o.fuid(tx)
	case smb.Rename:
		if tx.Version == 2 {
			o.open("set_info")
			o.str("class", "FILE_INFO")
			o.str("info_level", "SMB2_FILE_RENAME_INFO")
			o.close()
		}
		o.open("rename")
		o.text("from", tx.Text(smb.Name))
		o.text("to", tx.Text(smb.NewName))
		o.close()
		o.fuid(tx)
	case smb.SetInfo:
		o.smbSetInfo(tx)
	case smb.Ioctl:
		o.str("function", tx.FunctionName())
	case smb.Call:
		o.smbCall(tx)
	}
	o.close()
}

func (o *object) smbNegotiate(tx *smb.Tx) {
	o.array("client_dialects")
	for _, d := range tx.Dialects2 {
		o.element()
		o.b = appendString(o.b, smb.DialectName(d))
	}
	o.strings(tx.Text(smb.Dialects))
	o.closeArray()
	if tx.HasClient {
		o.guid("client_guid", tx.ClientGUID[:])
	}
	if tx.HasServer {
		o.guid("server_guid", tx.ServerGUID[:])
	} else {
		o.str("server_guid", "")
	}
	read, write := tx.MaxSizes()
	if read > 0 {
		o.uint("max_read_size", uint64(read))
	}
	if write > 0 {
		o.uint("max_write_size", uint64(write))
	}
}

// strings writes texts, each with a 0 behind it, as elements of an array.
func (o *object) strings(list []byte) {
	for len(list) > 0 {
		s, rest, _ := bytes.Cut(list, []byte{0})
		list = rest
		o.element()
		o.b = appendString(o.b, s)
	}
}

// text writes a text that may be no UTF-8: what is not is shown as U+FFFD.
func (o *object) text(k string, s []byte) {
	if !utf8.Valid(s) {
		s = []byte(string([]rune(string(s))))
	}
	o.bytes(k, s)
}

func (o *object) smbSession(tx *smb.Tx) {
	if tx.HasNTLM {
		o.open("ntlmssp")
		o.text("domain", tx.Text(smb.NTLMDomain))
		o.text("user", tx.Text(smb.NTLMUser))
		o.text("host", tx.Text(smb.NTLMHost))
		if v := tx.NTLMVersion; tx.HasVersion {
			o.str("version", fmt.Sprintf("%d.%d build %d rev %d", v.Major, v.Minor, v.Build, v.Revision))
		}
		o.close()
	}
	if tx.HasTicket {
		o.open("kerberos")
		o.text("realm", tx.Text(smb.Realm))
		o.array("snames")
		o.strings(tx.Text(smb.ServerNames))
		o.closeArray()
		o.close()
	}
	if tx.HasRequestOS {
		o.smbSystem("request", tx.Text(smb.RequestOS), tx.Text(smb.RequestManager))
	}
	if tx.HasResponseOS {
		o.smbSystem("response", tx.Text(smb.ResponseOS), tx.Text(smb.ResponseManager))
	}
}

func (o *object) smbSystem(k string, os, manager []byte) {
	o.open(k)
	o.text("native_os", os)
	o.text("native_lm", manager)
	o.close()
}

func (o *object) smbTree(tx *smb.Tx) {
	if tx.Pipe {
		o.text("named_pipe", tx.Text(smb.Name))
	} else {
		o.text("share", tx.Text(smb.Name))
	}
	if tx.Version == 1 {
		o.open("service")
		if tx.HasRequestService {
			o.text("request", tx.Text(smb.RequestService))
		}
		if tx.HasResponseService {
			o.text("response", tx.Text(smb.ResponseService))
		}
		o.close()
		return
	}
	kind := "UNKNOWN"
	if t := int(tx.ShareType); t >= 1 && t <= 3 {
		kind = [...]string{"FILE", "PIPE", "PRINT"}[t-1]
	}
	o.str("share_type", kind)
}

var smbDispositions = [...]string{"FILE_SUPERSEDE", "FILE_OPEN", "FILE_CREATE", "FILE_OPEN_IF", "FILE_OVERWRITE", "FILE_OVERWRITE_IF"}

func (o *object) smbCreate(tx *smb.Tx) {
	if tx.Directory && len(tx.Text(smb.Name)) > 0 {
		o.text("directory", tx.Text(smb.Name))
	} else {
		o.smbName(tx)
	}
	disposition := "UNKNOWN"
	if int(tx.Disposition) < len(smbDispositions) {
		disposition = smbDispositions[tx.Disposition]
	}
	o.str("disposition", disposition)
	o.smbAccess(tx)
	for i, k := range [...]string{"created", "accessed", "modified", "changed"} {
		o.uint(k, smb.UnixTime(tx.Times[i]))
	}
	o.uint("size", tx.Size)
	o.fuid(tx)
}

func (o *object) smbName(tx *smb.Tx) {
	if name := tx.Text(smb.Name); len(name) > 0 {
		o.text("filename", name)
	} else {
		o.str("filename", "<share_root>")
	}
}

func (o *object) smbAccess(tx *smb.Tx) {
	if tx.Delete {
		o.str("access", "delete on close")
	} else {
		o.str("access", "normal")
	}
}

func (o *object) smbSetInfo(tx *smb.Tx) {
	o.smbName(tx)
	o.smbAccess(tx)
	switch tx.Class {
	case 8:
		o.str("subcmd", "SET_FILE_INFO")
	case 6:
		o.str("subcmd", "SET_PATH_INFO")
	}
	if tx.Level == 1013 {
		o.str("level_of_interest", "Set Disposition Information")
	}
	o.fuid(tx)
}

// smbCall writes the call of a remote procedure in a pipe.
func (o *object) smbCall(tx *smb.Tx) {
	o.open("dcerpc")
	request, response := "REQUEST_LOST", "UNREPLIED"
	if tx.HasRequest {
		request = dcerpc.TypeName(tx.Request)
	}
	if tx.HasResponse {
		response = dcerpc.TypeName(tx.Response)
	}
	o.str("request", request)
	o.str("response", response)
	switch all := tx.Interfaces(); {
	case !tx.HasRequest:
	case tx.Request == dcerpc.Request:
		o.uint("opnum", uint64(tx.Opnum))
		o.open("req")
		o.stub(tx.Fragments[packet.ToServer], tx.StubSize[packet.ToServer])
		o.close()
		if len(all) > 0 && tx.Context == 0 { // as in Suricata, which takes all of them for that context's
			o.interfaces(all, func(*dcerpc.Interface) {})
		}
	case tx.Request == dcerpc.Bind && len(all) > 0:
		o.interfaces(all, func(i *dcerpc.Interface) {
			if i.Acked {
				o.uint("ack_result", uint64(i.Result))
				o.uint("ack_reason", 0) // as in Suricata, whatever it is
			}
		})
	}
	if tx.HasResponse && tx.Response == dcerpc.Response {
		o.open("res")
		o.stub(tx.Fragments[packet.ToClient], tx.StubSize[packet.ToClient])
		o.close()
	}
	o.uint("call_id", uint64(tx.CallID))
	o.close()
}

// guid writes 16 bytes in Suricata's order for SMB: that of UUIDs, with the last two groups turned.
func (o *object) guid(k string, g []byte) {
	order := [16]int{3, 2, 1, 0, 5, 4, 7, 6, 9, 8, 11, 10, 15, 14, 13, 12}
	var u dcerpc.UUID
	for i, at := range order {
		u[i] = g[at]
	}
	o.uuid(k, &u)
}

// fuid writes the handle of a file.
func (o *object) fuid(tx *smb.Tx) {
	switch h := &tx.Handle; h.Size {
	case 16:
		o.guid("fuid", h.ID[:])
	case 2, 6:
		o.key("fuid")
		o.b = append(o.b, '"', hexDigits[h.ID[1]>>4], hexDigits[h.ID[1]&15], hexDigits[h.ID[0]>>4], hexDigits[h.ID[0]&15], '"')
	default:
		o.str("fuid", "")
	}
}
