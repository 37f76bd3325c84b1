package eve

import "github.com/sluicefw/sluice/engine/applayer/sip"

func (o *object) sip(tx *sip.Tx) {
	o.open("sip")
	if tx.Response {
		o.bytes("version", tx.Version)
		o.bytes("code", tx.Code)
		o.bytes("reason", tx.Reason)
		o.bytes("response_line", tx.Line)
	} else {
		o.bytes("method", tx.Method)
		o.bytes("uri", tx.URI)
		o.bytes("version", tx.Version)
		o.bytes("request_line", tx.Line)
	}
	o.close()
}
