package applayer

import (
	"encoding/binary"
	"strings"

	"github.com/sluicefw/sluice/engine/packet"
)

// match is the answer of a detector to the bytes that one side sent first.
// More bytes never change a no or a yes, so that it does not matter how the
// bytes arrive.
type match uint8

const (
	no match = iota
	more
	yes
)

// opening is what detectors look at.
type opening struct {
	data       []byte
	dir        packet.Dir
	serverPort uint16
	other      Proto // as the other side was recognised, Unknown or Failed if it was not
}

// tcpDetectors are asked in this order, and the first yes counts. One that
// needs more bytes holds up those behind it. Detectors that take much on trust
// ask for the usual port, as Suricata's probing parsers do.
var tcpDetectors = [...]struct {
	proto  Proto
	detect func(o opening) match
}{
	{TLS, detectTLS},
	{HTTP2, detectHTTP2},
	{SSH, func(o opening) match { return o.prefix(0, "SSH-") }},
	{SMB, detectSMB},
	{DCERPC, detectDCERPC},
	{RDP, detectRDP},
	{MQTT, detectMQTT},
	{RFB, func(o opening) match { return o.prefix(0, "RFB 00") }},
	{DNS, detectDNSOverTCP},
	{KRB5, detectKRB5OverTCP},
	{IMAP, func(o opening) match { return o.toServer(o.command("1 capability")) }},
	{SMTP, func(o opening) match { return o.toServer(o.oneOf("EHLO", "HELO", "QUIT")) }},
	{FTP, func(o opening) match { return o.toServer(o.oneOf("USER ", "PASS ", "PORT ", "FEAT")) }},
	{Telnet, detectTelnet},
	{HTTP, detectHTTP},
}

// Failed detection is final when a side has sent as many bytes as Suricata looks at: up to the end of the longest
// pattern of its direction, and to where the parsers that it tries at the server's port have made up their minds.
const (
	depthToServer = 17 // "BASELINE-CONTROL "
	depthToClient = 8  // "HTTP/1.1"
)

// portDepths are those of ports where Suricata tries parsers that need more.
var portDepths = map[uint16][2]int{
	53: {depthToServer, 15}, 80: {25, 9}, 139: {36, 36}, 445: {36, 36}, 2049: {depthToServer, 12}, 3389: {17, 17},
	5432: {17, 17}, 20000: {depthToServer, 10}, 44818: {24, 24},
}

// depth returns how many bytes a side sends, at least, until its protocol counts as not recognised.
func (o opening) depth() int {
	if d, ok := portDepths[o.serverPort]; ok {
		return d[o.dir]
	}
	return [2]int{depthToServer, depthToClient}[o.dir]
}

// recogniseTCP returns the protocol of what one side of a connection sent
// first: Unknown when more bytes are needed, Failed when it is none.
func recogniseTCP(o opening) Proto {
	for i := range tcpDetectors {
		switch tcpDetectors[i].detect(o) {
		case yes:
			return tcpDetectors[i].proto
		case more:
			return Unknown
		}
	}
	if len(o.data) < o.depth() {
		return Unknown
	}
	return Failed
}

// prefix compares the bytes from at on with pattern.
func (o opening) prefix(at int, pattern string) match {
	n := min(len(o.data)-at, len(pattern))
	switch {
	case n <= 0:
		return more
	case string(o.data[at:at+n]) != pattern[:n]:
		return no
	case n < len(pattern):
		return more
	}
	return yes
}

// command is prefix for a command in letters of any case.
func (o opening) command(pattern string) match {
	n := min(len(o.data), len(pattern))
	switch {
	case !strings.EqualFold(string(o.data[:n]), pattern[:n]):
		return no
	case n < len(pattern):
		return more
	}
	return yes
}

// oneOf is command for several.
func (o opening) oneOf(commands ...string) match {
	best := no
	for _, c := range commands {
		best = max(best, o.command(c))
	}
	return best
}

func (o opening) toServer(m match) match {
	if o.dir == packet.ToServer {
		return m
	}
	return no
}

func (o opening) toClient(m match) match {
	if o.dir == packet.ToClient {
		return m
	}
	return no
}

// bestOf returns the best of its arguments, allOf the worst.
func bestOf(ms ...match) match {
	best := no
	for _, m := range ms {
		best = max(best, m)
	}
	return best
}

func allOf(ms ...match) match {
	worst := yes
	for _, m := range ms {
		worst = min(worst, m)
	}
	return worst
}

// byteIs tests the byte at offset at.
func (o opening) byteIs(at int, test func(byte) bool) match {
	switch {
	case at >= len(o.data):
		return more
	case test(o.data[at]):
		return yes
	}
	return no
}

func one(b byte) func(byte) bool    { return func(x byte) bool { return x == b } }
func atMost(b byte) func(byte) bool { return func(x byte) bool { return x <= b } }
func isOneOf(s string) func(byte) bool {
	return func(x byte) bool { return strings.IndexByte(s, x) >= 0 }
}

// detectTLS: the header of a handshake record, of a server's alert or data, or a ClientHello of SSL 2 or the like,
// which has any version on its usual port.
func detectTLS(o opening) match {
	version := allOf(o.byteIs(1, one(3)), o.byteIs(2, atMost(4)))
	record := allOf(o.byteIs(0, one(22)), version)
	other := o.toClient(allOf(o.byteIs(0, isOneOf("\x15\x17")), version))
	hello := "\x01\x00\x02"
	if o.serverPort == 443 {
		hello = hello[:1]
	}
	ssl2 := o.toServer(allOf(o.byteIs(0, func(b byte) bool { return b&0x80 != 0 }), o.prefix(2, hello)))
	return bestOf(record, other, ssl2, o.toServer(o.prefix(0, "\x01\x03\x00")))
}

// detectHTTP2: the client's preface (RFC 9113, 3.4), or the header of a server's first frame, its SETTINGS, on port 80 or
// where the client has sent that.
func detectHTTP2(o opening) match {
	if o.dir == packet.ToServer {
		return o.prefix(0, "PRI * HTTP/2.0\r\n")
	}
	if o.serverPort != 80 && o.other != HTTP2 {
		return no
	}
	return allOf(o.prefix(0, "\x00"), o.byteIs(1, atMost(0x40)), o.prefix(3, "\x04"), o.byteIs(4, atMost(1)), o.prefix(5, "\x00\x00\x00\x00"))
}

// detectSMB: SMB 1, 2 or encrypted 3 in a NetBIOS session message, before which the session may be
// asked for, and granted.
func detectSMB(o opening) match {
	message := func(at int) match {
		return allOf(o.byteIs(at, one(0)), o.byteIs(at+4, isOneOf("\xff\xfe\xfd")), o.prefix(at+5, "SMB"))
	}
	asked := allOf(o.byteIs(0, isOneOf("\x81\x82")), o.prefix(1, "\x00\x00"), o.byteIs(3, func(byte) bool { return true }))
	if asked == yes {
		asked = message(4 + int(o.data[3]))
	}
	return bestOf(message(0), asked)
}

// detectDCERPC: a connection-oriented PDU (DCE 1.1: RPC, 12.6.3.1).
func detectDCERPC(o opening) match {
	return allOf(o.prefix(0, "\x05\x00"), o.byteIs(2, atMost(20)), o.byteIs(4, func(b byte) bool { return b&0xee == 0 }), o.byteIs(5, atMost(3)))
}

// detectRDP: an X.224 connection request or confirm in a TPKT (MS-RDPBCGR,
// 2.2.1.1).
func detectRDP(o opening) match {
	if o.serverPort != 3389 {
		return no
	}
	kind := byte(0xe0)
	if o.dir == packet.ToClient {
		kind = 0xd0
	}
	return allOf(o.prefix(0, "\x03\x00"), o.byteIs(5, one(kind)))
}

// detectMQTT: a kind of packet that there is, and a length (MQTT 5.0, 2.1).
func detectMQTT(o opening) match {
	if o.serverPort != 1883 {
		return no
	}
	m := o.byteIs(0, func(b byte) bool { return b>>4 != 0 && b>>1&3 != 3 })
	for at := 1; m == yes && at <= 4; at++ {
		if m = o.byteIs(at, func(byte) bool { return true }); m == yes && o.data[at] < 0x80 {
			return yes
		}
	}
	return min(m, more)
}

// detectDNSOverTCP: a length and a header that fits the direction.
func detectDNSOverTCP(o opening) match {
	if o.serverPort != 53 {
		return no
	}
	if len(o.data) < 2+12 {
		return more
	}
	flags := binary.BigEndian.Uint16(o.data[4:])
	response := flags&0x8000 != 0
	if binary.BigEndian.Uint16(o.data) < 12 || response != (o.dir == packet.ToClient) ||
		flags>>11&0xf > 6 || binary.BigEndian.Uint16(o.data[6:]) != 1 {
		return no
	}
	return yes
}

func detectKRB5OverTCP(o opening) match {
	if o.serverPort != 88 {
		return no
	}
	return allOf(o.byteIs(0, one(0)), o.byteIs(4, isOneOf(krbTags)))
}

// krbTags are the application tags of AS-REQ to KRB-ERROR (RFC 4120, 5.10).
const krbTags = "\x6a\x6b\x6c\x6d\x6e\x6f\x74\x75\x76\x7e"

// detectTelnet: two option negotiations (RFC 854).
func detectTelnet(o opening) match {
	if o.serverPort != 23 {
		return no
	}
	negotiation := func(b byte) bool { return b >= 0xfb && b < 0xff }
	return allOf(o.byteIs(0, one(0xff)), o.byteIs(1, negotiation), o.byteIs(3, one(0xff)), o.byteIs(4, func(b byte) bool { return b >= 0xfa && b < 0xff }))
}

var sipMethods = [...]string{"INVITE", "REGISTER", "OPTIONS", "ACK", "BYE", "CANCEL", "SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH", "REFER", "INFO", "UPDATE", "PRACK"}

func detectSIP(o opening) match {
	best := o.prefix(0, "SIP/2.0 ")
	for _, m := range sipMethods {
		if o.prefix(0, m) != no {
			best = max(best, allOf(o.prefix(0, m), o.prefix(len(m), " sip:")))
		}
	}
	return best
}

// httpMethods are those that begin HTTP, in letters of any case: what else there is does not count as HTTP.
var httpMethods = [...]string{
	"GET", "PUT", "POST", "HEAD", "TRACE", "OPTIONS", "CONNECT", "DELETE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE",
	"LOCK", "UNLOCK", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE", "MKACTIVITY", "MERGE",
	"INVALID", "VERSION-CONTROL", "BASELINE-CONTROL",
}

func detectHTTP(o opening) match {
	if o.dir == packet.ToClient {
		return o.oneOf("HTTP/1.1", "HTTP/1.0", "HTTP/0.9")
	}
	best := no
	for _, m := range httpMethods {
		best = max(best, allOf(o.command(m), o.byteIs(len(m), isOneOf(" \t"))))
	}
	return best
}
