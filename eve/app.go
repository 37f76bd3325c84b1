package eve

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/applayer/dns"
	"github.com/sluicefw/sluice/engine/applayer/dnswire"
	"github.com/sluicefw/sluice/engine/applayer/http"
	"github.com/sluicefw/sluice/engine/applayer/mqtt"
	"github.com/sluicefw/sluice/engine/applayer/sip"
	"github.com/sluicefw/sluice/engine/applayer/ssh"
	"github.com/sluicefw/sluice/engine/applayer/tls"
	"github.com/sluicefw/sluice/engine/packet"
)

// App is a transaction of an application protocol that is done. Src is the side that the
// record is about: the client, or for protocols with a record for each message its sender.
type App struct {
	Tuple
	Tx   applayer.Tx
	Part int // which of the records of Tx this is: see Records
}

// Records returns how many records a transaction has: most have one.
func Records(tx applayer.Tx) int {
	if tx, ok := tx.(*dns.Tx); ok && !tx.Message().Response() {
		return tx.Message().Count(dnswire.Questions)
	}
	return 1
}

// AppendApp appends a as the EVE event of its protocol, such as "tls". The protocol must have
// records: see AppType.
func AppendApp(dst []byte, a *App) []byte {
	o := appendHeader(dst, &a.Tuple, AppType(a.Tx))
	switch tx := a.Tx.(type) {
	case *dns.Tx:
		o.dnsRecord(tx, a.Part)
		return o.end()
	case *dcerpc.Tx: // alerts do not have it
		o.open("dcerpc")
		o.dcerpc(&tx.Call)
		o.uint("call_id", uint64(tx.Call.ID))
		o.str("rpc_version", "5.0")
		o.close()
		return o.end()
	case *ssh.Tx:
		o.uint("tx_id", tx.ID)
	}
	o.tx(a.Tx)
	return o.end()
}

// AppType returns the event type of a transaction's record, which is also the name of its object;
// it is empty for protocols that have none, and for transactions that tell nothing.
func AppType(tx applayer.Tx) string {
	switch tx := tx.(type) {
	case *http.Tx:
		return "http"
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
	case *tls.Tx:
		o.tls(tx)
	case *dns.Tx:
		o.dns(tx)
	case *mqtt.Tx:
		o.mqtt(tx)
	case *sip.Tx:
		o.sip(tx)
	case *ssh.Tx:
		o.ssh(tx)
	}
}

func (o *object) http(tx *http.Tx) {
	o.open("http")
	o.value("hostname", tx, applayer.HTTPHost)
	o.value("url", tx, applayer.HTTPURI)
	o.value("http_user_agent", tx, applayer.HTTPUserAgent)
	o.value("http_method", tx, applayer.HTTPMethod)
	o.uint("length", 0)
	o.close()
}

// value writes a buffer of a transaction, if it is there and not empty.
func (o *object) value(k string, tx applayer.Tx, b applayer.Buffer) {
	v, _ := tx.Value(b, 0)
	o.optBytes(k, v)
}
