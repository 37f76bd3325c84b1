package eve

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/http"
	"github.com/sluicefw/sluice/engine/packet"
)

// http writes Suricata's extended form of a transaction, as far as it has come.
func (o *object) http(tx *http.Tx) {
	o.open("http")
	o.optBytes("hostname", tx.Host())
	if port := tx.Port(); port >= 0 {
		o.uint("http_port", uint64(port))
	}
	o.value("url", tx, applayer.HTTPURIRaw)
	o.value("http_user_agent", tx, applayer.HTTPUserAgent)
	if ct, ok := tx.Field(packet.ToClient, "content-type"); ok {
		o.bytes("http_content_type", mediaType(ct))
	}
	o.contentRange(tx)
	o.value("http_refer", tx, applayer.HTTPReferer)
	o.value("http_method", tx, applayer.HTTPMethod)
	o.value("protocol", tx, applayer.HTTPVersion)
	if status, ok := tx.StatusNumber(); ok {
		o.uint("status", uint64(status))
		if location, ok := tx.Field(packet.ToClient, "location"); ok {
			o.bytes("redirect", location)
		}
	}
	o.uint("length", uint64(tx.Length()))
	o.close()
}

// mediaType cuts the parameters off a Content-Type.
func mediaType(b []byte) []byte {
	for i, c := range b {
		if c == ';' {
			return b[:i]
		}
	}
	return b
}

func (o *object) contentRange(tx *http.Tx) {
	raw, r, there, ok := tx.Range()
	if !there {
		return
	}
	o.open("content_range")
	o.bytes("raw", raw)
	if ok {
		if r.Start >= 0 {
			o.int("start", r.Start)
		}
		if r.End >= 0 {
			o.int("end", r.End)
		}
		if r.Total >= 0 {
			o.int("size", r.Total)
		}
	}
	o.close()
}
