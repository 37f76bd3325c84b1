package detect

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// check is what a rule asks of the packet at hand, or of its flow.
type check func(in *Input) bool

// numberChecks are the keywords that compare a number, with where it is found;
// ok is false for packets that have none.
var numberChecks = map[string]func(in *Input) (n uint64, ok bool){
	"dsize": func(in *Input) (uint64, bool) { return uint64(len(in.Packet.RulePayload())), true },
	"ttl":   func(in *Input) (uint64, bool) { return uint64(in.Packet.TTL), in.Packet.IPVersion != 0 },
	"tos":   func(in *Input) (uint64, bool) { return uint64(in.Packet.TOS), in.Packet.IPVersion == 4 },
	"id":    func(in *Input) (uint64, bool) { return uint64(in.Packet.IPID), in.Packet.IPVersion == 4 },
	"fragoffset": func(in *Input) (uint64, bool) {
		if in.Packet.IPVersion == 6 { // of the fragment header, which alone has an identification; in bytes, as in Suricata
			return uint64(in.Packet.FragOffset), in.Packet.Fragment || in.Packet.IPID != 0
		}
		return uint64(in.Packet.FragOffset / 8), in.Packet.IPVersion == 4
	},
	"tcp.seq":    func(in *Input) (uint64, bool) { return uint64(in.Packet.TCP.Seq), isTCP(in.Packet) },
	"tcp.ack":    func(in *Input) (uint64, bool) { return uint64(in.Packet.TCP.Ack), isTCP(in.Packet) },
	"tcp.window": func(in *Input) (uint64, bool) { return uint64(in.Packet.TCP.Window), isTCP(in.Packet) },
	"tcp.mss": func(in *Input) (uint64, bool) {
		return uint64(in.Packet.TCP.MSS), isTCP(in.Packet) && in.Packet.TCP.HasMSS
	},
	"itype":    func(in *Input) (uint64, bool) { return uint64(in.Packet.ICMP.Type), isICMP(in.Packet) },
	"icode":    func(in *Input) (uint64, bool) { return uint64(in.Packet.ICMP.Code), isICMP(in.Packet) },
	"icmp_id":  func(in *Input) (uint64, bool) { return icmpWord(in.Packet, 4) },
	"icmp_seq": func(in *Input) (uint64, bool) { return icmpWord(in.Packet, 6) },
	"icmpv6.mtu": func(in *Input) (uint64, bool) {
		p := in.Packet // RFC 4443, 3.2: Packet Too Big
		if p.Proto != packet.ProtoICMPv6 || len(p.L4) < 8 || p.ICMP.Type != 2 || p.ICMP.Code != 0 {
			return 0, false
		}
		return uint64(binary.BigEndian.Uint32(p.L4[4:])), true
	},
	"flow.age": func(in *Input) (uint64, bool) { // of the clock's seconds, as in Suricata
		return uint64(max(in.Now/int64(time.Second)-in.FlowStart/int64(time.Second), 0)), in.FlowID != 0
	},
	"flow.pkts_toserver":  func(in *Input) (uint64, bool) { return in.Packets[packet.ToServer], in.FlowID != 0 },
	"flow.pkts_toclient":  func(in *Input) (uint64, bool) { return in.Packets[packet.ToClient], in.FlowID != 0 },
	"flow.bytes_toserver": func(in *Input) (uint64, bool) { return in.Bytes[packet.ToServer], in.FlowID != 0 },
	"flow.bytes_toclient": func(in *Input) (uint64, bool) { return in.Bytes[packet.ToClient], in.FlowID != 0 },
}

func isTCP(p *packet.Packet) bool { return p.Proto == packet.ProtoTCP && p.L4 != nil }

func isICMP(p *packet.Packet) bool {
	return (p.Proto == packet.ProtoICMP || p.Proto == packet.ProtoICMPv6) && p.L4 != nil
}

// icmpWord is the identifier or the sequence number of the messages that have
// them: echo (RFC 792, RFC 4443), and timestamp, information and address mask. An echo
// of ICMPv6 with a code that there is not has zeros, as in Suricata.
func icmpWord(p *packet.Packet, off int) (uint64, bool) {
	if !isICMP(p) || len(p.L4) < 8 {
		return 0, false
	}
	t := p.ICMP.Type
	if p.Proto == packet.ProtoICMP && t != 0 && t != 8 && (t < 13 || t > 18) || p.Proto == packet.ProtoICMPv6 && t != 128 && t != 129 {
		return 0, false
	}
	if p.Proto == packet.ProtoICMPv6 && p.ICMP.Code != 0 {
		return 0, true
	}
	return uint64(binary.BigEndian.Uint16(p.L4[off:])), true
}

// newCheck compiles a keyword that looks at the packet's headers or at figures
// of its flow; ok is false for other keywords.
func newCheck(o *rule.Option) (c check, ok bool) {
	switch o.Name {
	case "tcp.flags":
		flags := o.Arg.(*rule.TCPFlags)
		return func(in *Input) bool { return matchFlags(flags, in.Packet) }, true
	case "sameip":
		return func(in *Input) bool { return in.Packet.Src == in.Packet.Dst }, true
	case "fragbits":
		bits := o.Arg.(*rule.FragBits)
		return func(in *Input) bool { return matchFragBits(bits, in.Packet) }, true
	case "stream_size":
		return streamSizeCheck(o.Arg.(*rule.StreamSize)), true
	case "rpc":
		return rpcCheck(o.Arg.(*rule.RPC)), true
	case "ipv4-csum", "tcpv4-csum", "tcpv6-csum", "udpv4-csum", "udpv6-csum", "icmpv4-csum", "icmpv6-csum":
		return checksumCheck(o.Name, o.Arg.(*rule.Checksum).Valid), true
	case "ipopts":
		option := o.Arg.(uint8)
		return func(in *Input) bool { return hasIPOption(in.Packet, option) }, true
	}
	get, ok := numberChecks[o.Name]
	if !ok {
		return nil, false
	}
	want := o.Arg.(rule.Numbers)
	if o.Name == "dsize" && (want.Negated || want.To == 0) {
		return dsizeCheck(want), true
	}
	measures := o.Name == "dsize" && !want.Has(0)
	return func(in *Input) bool {
		n, ok := get(in)
		return ok && want.Has(n) && !(measures && in.Unread)
	}, true
}

// dsizeCheck is dsize:0 and dsize:!n. As in Suricata, the one is for packets without a payload and
// without bytes of the stream that are looked at with them, the other for packets with one of both, but not
// for those whose payload is not looked into, as no dsize is that asks for a payload.
func dsizeCheck(want rule.Numbers) check {
	return func(in *Input) bool {
		n := len(in.Packet.Payload)
		return (n > 0 || in.HasStream) == want.Negated && want.Has(uint64(n)) && !(want.Negated && in.Unread)
	}
}

// otherChecks are the keywords of newCheck that compare no number.
var otherChecks = []string{
	"tcp.flags", "sameip", "fragbits", "ipopts", "stream_size", "rpc",
	"ipv4-csum", "tcpv4-csum", "tcpv6-csum", "udpv4-csum", "udpv6-csum", "icmpv4-csum", "icmpv6-csum",
}

// streamSizeCheck compares how much the sides of a connection have sent, SYN and FIN counted.
func streamSizeCheck(s *rule.StreamSize) check {
	return func(in *Input) bool {
		client := s.Size.Has(uint64(in.StreamSize[packet.ToServer]))
		server := s.Size.Has(uint64(in.StreamSize[packet.ToClient]))
		switch {
		case !in.Tracked:
			return false
		case s.Side == "client":
			return client
		case s.Side == "server":
			return server
		case s.Side == "both":
			return client && server
		}
		return client || server
	}
}

// checksumCheck compares one of the checksums of a packet with what it should be.
func checksumCheck(name string, valid bool) check {
	of := map[string]struct{ version, proto uint8 }{
		"tcpv4-csum": {4, packet.ProtoTCP}, "tcpv6-csum": {6, packet.ProtoTCP},
		"udpv4-csum": {4, packet.ProtoUDP}, "udpv6-csum": {6, packet.ProtoUDP},
		"icmpv4-csum": {4, packet.ProtoICMP}, "icmpv6-csum": {6, packet.ProtoICMPv6},
	}[name]
	return func(in *Input) bool {
		p := in.Packet
		if of.proto == 0 {
			return p.IPVersion == 4 && p.Net != nil && p.HeaderSum() == valid
		}
		return p.IPVersion == of.version && p.Proto == of.proto && p.L4 != nil && p.TransportSum() == valid
	}
}

// rpcCheck compares the numbers of a Sun RPC call (RFC 5531, 9), which TCP puts behind the
// length of its record:
//
//	0 | xid | 0 for a call | RPC version 2 | program | version | procedure |
func rpcCheck(r *rule.RPC) check {
	return func(in *Input) bool {
		b := in.Packet.Payload
		if in.Packet.Proto == packet.ProtoTCP {
			b = b[min(4, len(b)):]
		}
		if len(b) < 24 {
			return false
		}
		word := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
		return word(1) == 0 && word(2) == 2 && word(3) == r.Program &&
			(r.Version == nil || word(4) == *r.Version) && (r.Procedure == nil || word(5) == *r.Procedure)
	}
}

// matchFlags compares a packet's TCP flags as the flags keyword asks.
func matchFlags(f *rule.TCPFlags, p *packet.Packet) bool {
	if !isTCP(p) {
		return false
	}
	// Suricata looks for none of these flags where none of their group is set: flags:!S is about
	// packets that have FIN or RST. Where SYN is asked for it looks only at packets that have it.
	for _, group := range [...]uint8{packet.SYN | packet.FIN | packet.RST, packet.URG | packet.ECE | packet.CWR} {
		if f.Flags&group != 0 && p.TCP.Flags&group == 0 {
			return false
		}
	}
	if f.Flags&packet.SYN != 0 && f.Op != '!' && p.TCP.Flags&packet.SYN == 0 {
		return false
	}
	have := p.TCP.Flags &^ f.Ignore
	switch f.Op {
	case '+':
		return have&f.Flags == f.Flags
	case '*':
		return have&f.Flags != 0
	case '!':
		if f.Flags == 0 { // !0 is any flag at all
			return have != 0
		}
		return have&f.Flags != f.Flags
	}
	return have == f.Flags
}

func matchFragBits(f *rule.FragBits, p *packet.Packet) bool {
	if p.IPVersion != 4 {
		return false
	}
	have := p.Net[6] >> 5
	switch f.Op {
	case '+':
		return have&f.Bits == f.Bits && have != f.Bits
	case '*':
		return have&f.Bits != 0
	case '!':
		return have&f.Bits != f.Bits
	}
	return have == f.Bits
}

// hasIPOption looks for an option of the IPv4 header (RFC 791, 3.1).
func hasIPOption(p *packet.Packet, option uint8) bool {
	if p.IPVersion != 4 {
		return false
	}
	options := p.Net[20:max(20, min(int(p.Net[0]&15)*4, len(p.Net)))]
	if option == rule.AnyIPOption {
		return len(options) > 0
	}
	for len(options) > 0 {
		kind := options[0]
		switch {
		case kind == option:
			return true
		case kind == 0: // the end
			return false
		case kind == 1:
			options = options[1:]
		case len(options) < 2 || options[1] < 2 || int(options[1]) > len(options):
			return false
		default:
			options = options[options[1]:]
		}
	}
	return false
}

// packetBuffers are the sticky buffers that every packet fills; nil is for
// packets that have none.
var packetBuffers = map[string]func(p *packet.Packet) []byte{
	"tcp.hdr":    func(p *packet.Packet) []byte { return l4Header(p, packet.ProtoTCP) },
	"udp.hdr":    func(p *packet.Packet) []byte { return l4Header(p, packet.ProtoUDP) },
	"icmpv4.hdr": icmpv4Header,
	"icmpv6.hdr": icmpv6Header,
	"ipv4.hdr":   func(p *packet.Packet) []byte { return netHeader(p, 4) },
	"ipv6.hdr":   func(p *packet.Packet) []byte { return netHeader(p, 6) },
	"ip.src":     func(p *packet.Packet) []byte { return address(p, p.Src[:]) },
	"ip.dst":     func(p *packet.Packet) []byte { return address(p, p.Dst[:]) },
}

func l4Header(p *packet.Packet, proto uint8) []byte {
	if p.Proto != proto || p.L4 == nil {
		return nil
	}
	return bytes.TrimSuffix(p.L4, p.Payload)
}

// icmpv4Header is the fixed part of a message: 8 bytes (RFC 792), with the times of timestamp
// messages and the entries of router advertisements (RFC 1256, 3), as in Suricata.
func icmpv4Header(p *packet.Packet) []byte {
	if p.Proto != packet.ProtoICMP || len(p.L4) < 8 {
		return nil
	}
	n := 8
	switch p.ICMP.Type {
	case 9:
		n += int(p.L4[4]) * int(p.L4[5]) * 4
	case 13, 14:
		n = 20
	}
	if n > len(p.L4) {
		n = 8
	}
	return p.L4[:n]
}

// icmpv6Header is what all messages have: 8 bytes, as in Suricata.
func icmpv6Header(p *packet.Packet) []byte {
	if p.Proto != packet.ProtoICMPv6 || len(p.L4) < 8 {
		return nil
	}
	return p.L4[:8]
}

func netHeader(p *packet.Packet, version uint8) []byte {
	switch {
	case p.IPVersion != version:
		return nil
	case p.L4 != nil:
		return p.Net[:len(p.Net)-len(p.L4)]
	case version == 4:
		return p.Net[:min(int(p.Net[0]&15)*4, len(p.Net))]
	}
	return p.Net[:min(40, len(p.Net))]
}

func address(p *packet.Packet, a []byte) []byte {
	if p.IPVersion == 4 {
		return a[12:]
	}
	return a
}
