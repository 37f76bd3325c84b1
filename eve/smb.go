package eve

import (
	"fmt"
	"strconv"

	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/applayer/smb"
	"github.com/sluicefw/sluice/engine/packet"
)

func (o *object) smb(tx *smb.Tx) {
	o.open("smb")
	o.uint("id", tx.ID+1)
	o.str("dialect", tx.Dialect)
	o.str("command", tx.Command())
	if tx.HasStatus {
		code, name := tx.Status()
		if tx.DOS {
			o.str("status", strconv.Itoa(int(code)))
			o.str("status_code", fmt.Sprintf("0x%04x", code))
		} else {
			o.optStr("status", name)
			o.str("status_code", fmt.Sprintf("0x%x", code))
		}
	}
	o.uint("session_id", tx.Session)
	o.uint("tree_id", uint64(tx.Tree))
	if len(tx.Dialects) > 0 {
		o.array("client_dialects")
		for _, d := range tx.Dialects {
			o.element()
			o.b = appendString(o.b, d)
		}
		o.closeArray()
	}
	o.guid("client_guid", tx.ClientGUID)
	o.guid("server_guid", tx.ServerGUID)
	if tx.MaxRead > 0 {
		o.uint("max_read_size", uint64(tx.MaxRead))
	}
	if tx.MaxWrite > 0 {
		o.uint("max_write_size", uint64(tx.MaxWrite))
	}
	o.smbSession(tx)
	o.smbShare(tx)
	o.smbFile(tx.Opened)
	if tx.Call != nil {
		o.smbCall(tx.Call)
	} else if tx.HasFunc {
		o.str("function", tx.FunctionName())
	}
	o.close()
}

// guid writes 16 bytes in little endian groups; the last two have no dash between them.
func (o *object) guid(k string, b []byte) {
	if len(b) != 16 {
		return
	}
	o.key(k)
	o.b = append(o.b, '"')
	at := 0
	for i, n := range [...]int{4, 2, 2, 2, 2, 4} {
		if i > 0 && i < 5 {
			o.b = append(o.b, '-')
		}
		for j := at + n - 1; j >= at; j-- {
			o.b = append(o.b, hexDigits[b[j]>>4], hexDigits[b[j]&15])
		}
		at += n
	}
	o.b = append(o.b, '"')
}

func (o *object) smbSession(tx *smb.Tx) {
	if n := tx.NTLM; n != nil {
		o.open("ntlmssp")
		o.bytes("domain", n.Domain)
		o.bytes("user", n.User)
		o.bytes("host", n.Host)
		o.optStr("version", n.Version)
		o.close()
	}
	for dir, k := range [...]string{packet.ToServer: "request", packet.ToClient: "response"} {
		if n := tx.Native[dir]; n != nil {
			o.open(k)
			o.bytes("native_os", n.OS)
			o.bytes("native_lm", n.LanMan)
			o.close()
		}
	}
}

func (o *object) smbShare(tx *smb.Tx) {
	if !tx.HasShare {
		return
	}
	if tx.Pipe {
		o.bytes("named_pipe", tx.Share)
	} else {
		o.bytes("share", tx.Share)
	}
	if tx.Version == 2 {
		o.optStr("share_type", tx.ShareType)
		return
	}
	o.open("service")
	o.bytes("request", tx.Service[packet.ToServer])
	o.optBytes("response", tx.Service[packet.ToClient])
	o.close()
}

func (o *object) smbFile(f *smb.File) {
	if f == nil {
		return
	}
	o.bytes("filename", f.Name)
	o.str("disposition", f.DispositionName())
	if f.DeleteOnClose {
		o.str("access", "delete on close")
	} else {
		o.str("access", "normal")
	}
	o.int("created", f.Created)
	o.int("accessed", f.Accessed)
	o.int("modified", f.Modified)
	o.int("changed", f.Changed)
	o.uint("size", f.Size)
	switch len(f.ID) {
	case 16:
		o.guid("fuid", f.ID)
	case 2:
		o.key("fuid")
		o.b = append(o.b, '"')
		o.b = append(appendGroups(o.b, f.ID), '"')
	default:
		o.str("fuid", "")
	}
}

// smbCall writes a remote procedure call, in another form than dcerpc does.
func (o *object) smbCall(c *dcerpc.Call) {
	o.open("dcerpc")
	if c.Asked {
		o.str("request", dcerpc.KindName(c.Request))
	}
	if c.Answered {
		o.str("response", dcerpc.KindName(c.Response))
	} else {
		o.str("response", "UNREPLIED")
	}
	if c.Asked && c.Request == dcerpc.Request {
		o.uint("opnum", uint64(c.Opnum))
		o.smbFragments("req", c, packet.ToServer)
	}
	if len(c.Interfaces) > 0 {
		o.array("interfaces")
		for i := range c.Interfaces {
			f := &c.Interfaces[i]
			o.element()
			o.openElement()
			o.dcerpcInterface(f)
			if f.Answered && c.Request != dcerpc.Request {
				o.uint("ack_result", uint64(f.Result))
				o.uint("ack_reason", 0) // Suricata does not read it
			}
			o.close()
		}
		o.closeArray()
	}
	if c.Answered && c.Response == dcerpc.Response {
		o.smbFragments("res", c, packet.ToClient)
	}
	o.uint("call_id", uint64(c.ID))
	o.close()
}

func (o *object) smbFragments(k string, c *dcerpc.Call, dir packet.Dir) {
	o.open(k)
	o.uint("frag_cnt", uint64(c.Fragments[dir]))
	o.uint("stub_data_size", uint64(c.StubSize[dir]))
	o.close()
}
