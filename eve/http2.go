package eve

import (
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/engine/applayer/http2"
	"github.com/sluicefw/sluice/engine/packet"
)

// http2 writes a stream, or a frame about the connection, if there is anything to tell.
func (o *object) http2(tx *http2.Tx) {
	if !tx.Telling() {
		return
	}
	o.open("http")
	o.str("version", "2")
	var c http2Common
	o.http2Fields("request_headers", tx, packet.ToServer, &c)
	o.http2Fields("response_headers", tx, packet.ToClient, &c)
	o.value2("http_method", c.method)
	o.value2("url", c.url)
	o.value2("hostname", c.host)
	o.value2("http_user_agent", c.agent)
	o.numeral("length", c.length)
	o.numeral("status", c.status)
	o.open("http2")
	o.uint("stream_id", uint64(tx.Stream))
	o.http2Frames("request", tx, packet.ToServer)
	o.http2Frames("response", tx, packet.ToClient)
	o.close()
	o.close()
}

// http2Common are the fields that records of HTTP/1 have, too: the last of each name.
type http2Common struct{ method, url, host, agent, length, status []byte }

func (c *http2Common) add(name, value []byte) {
	switch strings.ToLower(string(name)) {
	case ":method":
		c.method = value
	case ":path":
		c.url = value
	case "host":
		c.host = value
	case "user-agent":
		c.agent = value
	case "content-length":
		c.length = value
	case ":status":
		c.status = value
	}
}

// value2 writes text that is there, be it empty.
func (o *object) value2(k string, v []byte) {
	if v != nil {
		o.bytes(k, v)
	}
}

// numeral writes text that is a number as one.
func (o *object) numeral(k string, v []byte) {
	if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
		o.uint(k, n)
	}
}

func (o *object) http2Fields(k string, tx *http2.Tx, dir packet.Dir, c *http2Common) {
	if !tx.HasFields(dir) {
		return
	}
	o.array(k)
	for f := range tx.Fields(dir) {
		o.element()
		o.openElement()
		switch {
		case f.Fault != "":
			o.str("error", f.Fault)
		case f.IsUpdate:
			o.uint("table_size_update", f.Size)
		default:
			o.bytes("name", f.Name)
			o.bytes("value", f.Value)
			c.add(f.Name, f.Value)
		}
		o.close()
	}
	o.closeArray()
}

var (
	http2Settings = [...]string{
		http2.HeaderTableSize: "HEADERTABLESIZE", http2.EnablePush: "ENABLEPUSH", http2.MaxConcurrentStreams: "MAXCONCURRENTSTREAMS",
		http2.InitialWindowSize: "INITIALWINDOWSIZE", http2.MaxFrameSize: "MAXFRAMESIZE", http2.MaxHeaderListSize: "MAXHEADERLISTSIZE",
	}
	http2Errors = [...]string{
		"NoError", "ProtocolError", "InternalError", "FlowControlError", "SettingsTimeout", "StreamClosed", "FrameSizeError", "RefusedStream",
		"Cancel", "CompressionError", "ConnectError", "EnhanceYourCalm", "InadequateSecurity", "Http11Required",
	}
)

// http2Frames writes what else a side sent.
func (o *object) http2Frames(k string, tx *http2.Tx, dir packet.Dir) {
	o.open(k)
	if list, ok := tx.Settings(dir); ok {
		o.array("settings")
		for _, s := range list {
			o.element()
			o.openElement()
			o.str("settings_id", "SETTINGS"+http2Settings[s.ID])
			o.uint("settings_value", uint64(s.Value))
			o.close()
		}
		o.closeArray()
	}
	if code, away, ok := tx.FirstError(dir); ok {
		name := strconv.FormatUint(uint64(code), 10)
		if code < uint32(len(http2Errors)) {
			name = http2Errors[code]
		}
		if away {
			name = strings.ToUpper(name)
		}
		o.str("error_code", name)
	}
	if weight, ok := tx.FirstWeight(dir); ok {
		o.uint("priority", uint64(weight))
	}
	o.optStr("has_multiple", tx.Repeated(dir))
	o.close()
}
