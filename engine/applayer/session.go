package applayer

import (
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/applayer/dns"
	"github.com/sluicefw/sluice/engine/applayer/http"
	"github.com/sluicefw/sluice/engine/applayer/tls"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// maxOneSided is how many bytes one side of a connection can send without
	// being recognised, while the other is silent, until detection fails.
	// Suricata's figure.
	maxOneSided = 100_000

	// maxDatagrams is the same for UDP, in datagrams.
	maxDatagrams = 8

	// MaxUnconsumed is how many bytes Data can leave to be presented again: a
	// DNS message over TCP.
	MaxUnconsumed = 2 + 65535

	// MaxMemory is how many bytes a Session can hold beyond its own size.
	MaxMemory = tls.MaxMemory + http.MaxMemory
)

// Event is one moment at which rules are evaluated.
type Event struct {
	Hook Hook
	Dir  packet.Dir
	TxID uint32 // number of the transaction, from 0
}

// Session follows the application protocol of one flow. It recognises the
// protocol from what the two sides send, then gives the bytes to its parser.
//
// Usage, for the bytes of a direction that are in order:
//
//	for {
//		n := s.Data(dir, data)
//		for s.Next(&ev) {
//			// s.Buffer is valid here
//		}
//		data = data[n:]
//		if n == 0 || len(data) == 0 {
//			break
//		}
//	}
//
// What is left of data has to be presented again when more has come, at most
// MaxUnconsumed bytes. Get a Session from a Pool.
type Session struct {
	pool   *Pool
	memory int // charged to pool

	transport  uint8
	clientPort uint16
	serverPort uint16

	proto Proto
	final bool
	done  bool
	sides [2]struct {
		failed bool // not recognised
		closed bool // nothing more is expected, or of use
		seen   int  // bytes, or datagrams, since it failed
	}

	// At most ProtocolDetected and one more are waiting.
	events       [2]Event
	head, tail   int
	current      Event
	transactions uint32 // DNS

	tls  tls.Conn
	http http.Conn
	name [dns.MaxName]byte
	nlen int
}

// Reset prepares for a flow of the transport packet.ProtoTCP or ProtoUDP, whose
// client sent from srcPort.
func (s *Session) Reset(transport uint8, srcPort, dstPort uint16) {
	s.transport, s.clientPort, s.serverPort = transport, srcPort, dstPort
	s.proto, s.final, s.done = Unknown, false, false
	clear(s.sides[:])
	s.head, s.tail, s.current, s.transactions, s.nlen = 0, 0, Event{}, 0, 0
	s.tls.Reset()
	s.http.Reset()
	s.charge()
}

// Proto returns the protocol: Unknown until ProtoFinal.
func (s *Session) Proto() Proto { return s.proto }

// ProtoFinal reports that detection has ended: the protocol is recognised, or
// it is Failed.
func (s *Session) ProtoFinal() bool { return s.final }

// Done reports that no more events will come, once those of Next are taken:
// the session can be given back.
func (s *Session) Done() bool { return s.done }

// Next takes the next event of the last call of Data, Datagram, Gap or End.
// Events that are not taken are lost with the next such call.
func (s *Session) Next(ev *Event) bool {
	if s.head == s.tail {
		return false
	}
	s.current = s.events[s.head]
	s.head++
	*ev = s.current
	return true
}

func (s *Session) emit(hook Hook, dir packet.Dir, tx uint32) {
	s.events[s.tail] = Event{Hook: hook, Dir: dir, TxID: tx}
	s.tail++
}

// Data presents bytes of one direction in order, those not consumed before
// first. It returns how many are consumed, up to the end of what caused an
// event.
func (s *Session) Data(dir packet.Dir, data []byte) (consumed int) {
	s.head, s.tail = 0, 0
	side := &s.sides[dir]
	switch {
	case len(data) == 0:
		return 0
	case s.done || side.closed:
		return len(data)
	case side.failed:
		s.miss(dir, len(data), maxOneSided)
		return len(data)
	case !s.final:
		o := opening{data: data, dir: dir, serverPort: s.serverPort}
		switch p := recogniseTCP(o); p {
		case Unknown:
			return 0
		case Failed:
			s.miss(dir, len(data), maxOneSided)
			return len(data)
		default:
			s.recognised(p, dir)
		}
	}
	if !s.done {
		consumed = s.parse(dir, data)
	}
	s.charge()
	return consumed
}

// Datagram presents the payload of a UDP datagram.
func (s *Session) Datagram(dir packet.Dir, data []byte) {
	s.head, s.tail = 0, 0
	if len(data) == 0 || s.done {
		return
	}
	if !s.final {
		o := opening{data: data, dir: dir, serverPort: s.serverPort}
		p := recogniseUDP(o, s.clientPort)
		if p == Failed {
			s.miss(dir, 1, maxDatagrams)
			return
		}
		s.recognised(p, dir)
	}
	if s.proto == DNS {
		s.message(dir, data)
	}
}

// Gap tells that bytes of a direction are lost: those presented but not
// consumed, and some that were not presented.
func (s *Session) Gap(dir packet.Dir) {
	s.head, s.tail = 0, 0
	switch {
	case s.done:
	case !s.final:
		s.miss(dir, 0, maxOneSided)
	case dir == packet.ToServer || s.proto == DNS:
		s.fail(dir)
	case s.proto == HTTP:
		s.http.LoseServer()
	default:
		s.done = s.tls.Greeted()
	}
	s.sides[dir].closed = s.final
}

// End tells that a side has sent its last byte.
func (s *Session) End(dir packet.Dir) {
	s.head, s.tail = 0, 0
	if !s.final {
		s.miss(dir, 0, maxOneSided)
	}
	s.sides[dir].closed = true
	if s.sides[dir.Reverse()].closed {
		s.done = true
	}
}

// miss notes that a side was not recognised, and n more bytes or datagrams of
// it. Detection fails when both are so, or the other stays silent for limit.
func (s *Session) miss(dir packet.Dir, n, limit int) {
	if s.final {
		return
	}
	side := &s.sides[dir]
	side.failed = true
	side.seen += n
	if s.sides[dir.Reverse()].failed || side.seen > limit {
		s.proto, s.final, s.done = Failed, true, true
		s.emit(ProtocolDetected, dir, 0)
	}
}

// recognised ends detection with a protocol.
func (s *Session) recognised(p Proto, dir packet.Dir) {
	s.proto, s.final = p, true
	s.emit(ProtocolDetected, dir, 0)
	switch p {
	case HTTP, TLS, DNS:
		// What a failed side sent was not kept, so its parser cannot start.
		if s.transport == packet.ProtoTCP && s.sides[packet.ToServer].failed {
			s.fail(packet.ToServer)
		} else if s.sides[packet.ToClient].failed {
			s.sides[packet.ToClient].closed = s.transport == packet.ProtoTCP
			s.http.LoseServer()
		}
	default:
		s.done = true
	}
}

// parse gives data to the parser of the protocol.
func (s *Session) parse(dir packet.Dir, data []byte) (consumed int) {
	switch s.proto {
	case TLS:
		return s.parseTLS(dir, data)
	case HTTP:
		return s.parseHTTP(dir, data)
	default:
		return s.parseDNS(dir, data)
	}
}

func (s *Session) parseTLS(dir packet.Dir, data []byte) (n int) {
	var ev tls.Event
	if dir == packet.ToServer {
		n, ev = s.tls.Client(data)
	} else {
		n, ev = s.tls.Server(data)
	}
	switch ev {
	case tls.ClientHello:
		s.emit(TLSClientHello, dir, 0)
	case tls.ServerHello:
		s.emit(TLSServerHello, dir, 0)
	case tls.Broken:
		s.fail(dir)
	}
	s.done = s.done || s.tls.Done()
	return n
}

func (s *Session) parseHTTP(dir packet.Dir, data []byte) (n int) {
	var ev http.Event
	if dir == packet.ToServer {
		n, ev = s.http.Client(data)
	} else {
		n, ev = s.http.Server(data)
	}
	switch ev {
	case http.Request:
		s.emit(HTTPRequestHeaders, dir, s.http.Requests()-1)
	case http.Response:
		s.emit(HTTPResponseHeaders, dir, s.http.Responses()-1)
	case http.Broken:
		s.fail(dir)
	}
	s.done = s.done || s.http.Done()
	return n
}

// parseDNS takes one message with its length (RFC 1035, 4.2.2).
func (s *Session) parseDNS(dir packet.Dir, data []byte) (n int) {
	if len(data) < 2 {
		return 0
	}
	n = 2 + int(binary.BigEndian.Uint16(data))
	if len(data) < n {
		return 0
	}
	s.message(dir, data[2:n])
	return n
}

// message takes one DNS message. One that cannot be read ends the session over
// TCP, where it throws the framing in doubt.
func (s *Session) message(dir packet.Dir, b []byte) {
	m, ok := dns.Parse(b)
	if !ok {
		if s.transport == packet.ProtoTCP {
			s.fail(dir)
		}
		return
	}
	s.nlen = 0
	if m.Question > 0 {
		name, _ := dns.AppendName(s.name[:0], b, m.Question)
		s.nlen = len(name)
	}
	hook := DNSRequest
	if m.Response {
		hook = DNSResponse
	}
	s.emit(hook, dir, s.transactions)
	s.transactions++
}

// fail ends the session without its parser.
func (s *Session) fail(dir packet.Dir) {
	s.emit(ParserFailed, dir, 0)
	s.done = true
}

// Buffer returns a buffer as of the event that Next returned last. It is valid
// until the next call of Data, Datagram, Gap, End or Reset; ok is false when
// there is no such thing in the protocol, or not yet.
func (s *Session) Buffer(b Buffer) (value []byte, ok bool) {
	switch b {
	case TLSSNI:
		name := s.tls.ServerName()
		return name, len(name) > 0
	case TLSVersion:
		return tlsVersion(s.tls.Version())
	case DNSQuery:
		return s.name[:s.nlen], s.nlen > 0
	}
	// A request's fields are gone when the next request was read.
	tx := s.http.Requests()
	if tx == 0 || s.current.TxID != tx-1 ||
		s.current.Hook != HTTPRequestHeaders && s.current.Hook != HTTPResponseHeaders {
		return nil, false
	}
	switch b {
	case HTTPHost:
		return s.http.Host()
	case HTTPHostRaw:
		return s.http.RawHost()
	case HTTPMethod:
		return s.http.Method(), true
	case HTTPURI:
		return s.http.URI(), true
	case HTTPUserAgent:
		return s.http.UserAgent()
	}
	return nil, false
}

var tlsVersions = [...][]byte{
	[]byte("SSLv3"), []byte("TLSv1"), []byte("TLS 1.1"), []byte("TLS 1.2"), []byte("TLS 1.3"),
}

func tlsVersion(v uint16) (name []byte, ok bool) {
	if i := int(v) - 0x0300; i >= 0 && i < len(tlsVersions) {
		return tlsVersions[i], true
	}
	return nil, false
}

// Name returns what to show for the flow: the SNI, the Host of the last
// request, or the name that was last asked for. It is empty when there is none
// and valid as long as a buffer.
func (s *Session) Name() []byte {
	switch s.proto {
	case TLS:
		return s.tls.ServerName()
	case HTTP:
		host, _ := s.http.Host()
		return host
	}
	return s.name[:s.nlen]
}
