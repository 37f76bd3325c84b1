package eve

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/applayer/dns"
	"github.com/sluicefw/sluice/engine/applayer/dnswire"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/applayer/ftp"
	"github.com/sluicefw/sluice/engine/applayer/http"
	"github.com/sluicefw/sluice/engine/applayer/http2"
	"github.com/sluicefw/sluice/engine/applayer/mqtt"
	"github.com/sluicefw/sluice/engine/applayer/sip"
	"github.com/sluicefw/sluice/engine/applayer/smb"
	"github.com/sluicefw/sluice/engine/applayer/smtp"
	"github.com/sluicefw/sluice/engine/applayer/ssh"
	"github.com/sluicefw/sluice/engine/applayer/tls"
	"github.com/sluicefw/sluice/engine/packet"
)

// App is a transaction of an application protocol that is done, or a file of one. Src is the
// side that the record is about: the client, or the sender of the file, or of the message for
// protocols with a record for each.
type App struct {
	Tuple
	App  AppProtos
	Tx   applayer.Tx
	Part int        // which of the records of Tx this is: see Records
	File *file.File // nil: the record is the transaction's
}

// Records returns how many records a transaction has: most have one.
func Records(tx applayer.Tx) int {
	if tx, ok := tx.(*dns.Tx); ok && !tx.Message().Response() {
		return tx.Message().Count(dnswire.Questions)
	}
	return 1
}

// AppendApp appends a as the EVE event of its protocol, such as "tls". The protocol must have
// records: see Type.
func AppendApp(dst []byte, a *App) []byte {
	o := appendHeader(dst, &a.Tuple, a.Type())
	if a.File != nil {
		o.tx(a.Tx)
		o.optStr("app_proto", a.App.Proto)
		o.open("fileinfo")
		o.file(a.File, a.Tx)
		o.close()
		return o.end()
	}
	switch tx := a.Tx.(type) {
	case *dns.Tx:
		o.dnsRecord(tx, a.Part)
		return o.end()
	case *dcerpc.Tx: // alerts do not have it
		o.dcerpc(tx)
		return o.end()
	case *ftp.Tx, *http.Tx, *http2.Tx, *smtp.Tx, *ssh.Tx:
		o.uint("tx_id", tx.State().ID)
	}
	o.tx(a.Tx)
	return o.end()
}

// Type returns the event type of the record. It is empty for protocols that have none, and for
// transactions that tell nothing.
func (a *App) Type() string {
	if a.File != nil {
		return "fileinfo"
	}
	switch tx := a.Tx.(type) {
	case *http.Tx:
		return "http"
	case *http2.Tx:
		if tx.Telling() {
			return "http"
		}
	case *tls.Tx:
		if tx.Telling() {
			return "tls"
		}
	case *dns.Tx:
		return "dns"
	case *mqtt.Tx:
		return "mqtt"
	case *dcerpc.Tx:
		return "dcerpc"
	case *smb.Tx:
		return "smb"
	case *ftp.Tx:
		return "ftp"
	case *smtp.Tx:
		return "smtp"
	case *sip.Tx:
		return "sip"
	case *ssh.Tx:
		if len(tx.Sides[packet.ToServer].Proto)+len(tx.Sides[packet.ToClient].Proto) > 0 {
			return "ssh"
		}
	}
	return ""
}

// tx writes the object that alerts and records have of a transaction.
func (o *object) tx(tx applayer.Tx) {
	switch tx := tx.(type) {
	case *http.Tx:
		o.http(tx)
	case *http2.Tx:
		o.http2(tx)
	case *tls.Tx:
		o.tls(tx)
	case *dns.Tx:
		o.dns(tx)
	case *mqtt.Tx:
		o.mqtt(tx)
	case *smb.Tx:
		o.smb(tx)
	case *ftp.Tx:
		o.ftp(tx)
	case *smtp.Tx:
		o.smtp(tx)
	case *sip.Tx:
		o.sip(tx)
	case *ssh.Tx:
		o.ssh(tx)
	}
}

// value writes a buffer of a transaction, if it is there and not empty.
func (o *object) value(k string, tx applayer.Tx, b applayer.Buffer) {
	v, _ := tx.Value(b, 0)
	o.optBytes(k, v)
}
