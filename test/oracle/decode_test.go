package oracle

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio/pcap"
)

// view is what an engine makes of a frame: a line for each packet in it that has an
// IP header, and the decoder's events.
type view struct {
	packets []string
	events  []string
}

func (v *view) sort() {
	slices.Sort(v.packets)
	slices.Sort(v.events)
}

func (v *view) equal(w *view) bool {
	return slices.Equal(v.packets, w.packets) && slices.Equal(v.events, w.events)
}

func packetLine(depth int, src, dst, from string, sport, dport int, vlans []uint16, tracked bool, payload []byte) string {
	return fmt.Sprintf("%d %s: %s:%d > %s:%d vlan %v flow %v payload %x", depth, from, src, sport, dst, dport, vlans, tracked, payload)
}

// defragEvents are those of putting fragments together, which decoding knows nothing of.
var defragEvents = []string{"decoder.ipv4.frag_overlap", "decoder.ipv4.frag_pkt_too_large", "decoder.ipv6.frag_overlap", "decoder.ipv6.frag_pkt_too_large"}

// decode is our view of a frame.
//
// ok is false for what is not compared: a datagram that looked like Teredo, but is not
// intact, of which Suricata keeps what is inside of it.
func decode(link packet.LinkType, data []byte) (v view, ok bool) {
	p, inner := &packet.Packet{}, &packet.Packet{}
	p.Decode(link, data, packet.Options{VerifyChecksums: true, Tunnels: true})
	for {
		found := p.Inner.Data != nil && inner.DecodeInner(p)
		for _, e := range p.Events.All() {
			v.events = append(v.events, e.String())
		}
		// Of a packet without a protocol that has events rules see only those.
		if p.IPVersion != 0 && (p.Proto != 0 || p.Fragment || len(p.Events.All()) == 0) {
			payload := p.Payload
			if p.Fragment {
				payload = nil
			}
			sport, dport := int(p.SrcPort), int(p.DstPort)
			if p.Fragment {
				sport, dport = 0, 0
			}
			v.packets = append(v.packets, packetLine(int(p.Depth), p.Src.String(), p.Dst.String(), p.From.String(), sport, dport, p.VLAN[:p.VLANs], p.Tracked, payload))
		}
		if !found {
			v.sort()
			return v, p.Inner.Data == nil || p.Inner.From != packet.FromTeredo
		}
		p, inner = inner, p
	}
}

// record is what is looked at of a record of Suricata's.
type record struct {
	Time    string   `json:"timestamp"`
	Type    string   `json:"event_type"`
	FlowID  uint64   `json:"flow_id"`
	Src     string   `json:"src_ip"`
	Dst     string   `json:"dest_ip"`
	SrcPort int      `json:"src_port"`
	DstPort int      `json:"dest_port"`
	VLAN    []uint16 `json:"vlan"`
	From    string   `json:"pkt_src"`
	Payload []byte   `json:"payload"`
	Packet  []byte   `json:"packet"`
	Tunnel  struct {
		Depth int `json:"depth"`
	} `json:"tunnel"`
	Anomaly struct {
		Event string `json:"event"`
	} `json:"anomaly"`
}

// decoderRecords has Suricata alert on every packet of the frames, and calls f with each alert and
// anomaly and the frame that it is about. Records of inner packets do not have the number of the
// frame, but its time. hosts are what host-os-policy says.
func decoderRecords(t *testing.T, binary, hosts string, link packet.LinkType, frames [][]byte, f func(frame int, r *record)) {
	t.Helper()
	dir := t.TempDir()
	config, err := os.ReadFile("testdata/decode.yaml")
	if err != nil {
		t.Fatal(err)
	}
	yaml := filepath.Join(dir, "suricata.yaml")
	if err := os.WriteFile(yaml, append(config, "host-os-policy:\n  "+hosts+"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	capture, err := os.Create(filepath.Join(dir, "frames.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	w := pcap.NewWriter(capture)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, data := range frames {
		if err := w.Write(link, start.Add(time.Duration(i)*time.Microsecond).UnixNano(), data, len(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "rules"), []string{"alert ip any any -> any any (ttl:>0; sid:1;)", "alert ip any any -> any any (ttl:0; sid:2;)"})
	output, err := exec.CommandContext(t.Context(), binary, "-c", yaml, "-S", filepath.Join(dir, "rules"), "-l", dir, "-r", capture.Name(), "--runmode=single").CombinedOutput()
	if err != nil {
		t.Fatalf("suricata: %v\n%s", err, output)
	}
	for _, r := range readLines[record](t, filepath.Join(dir, "eve.json")) {
		at, err := time.Parse("2006-01-02T15:04:05.000000-0700", r.Time)
		if err != nil {
			t.Fatal(err)
		}
		i := int(at.Sub(start) / time.Microsecond)
		if i < 0 || i >= len(frames) {
			t.Fatalf("a record of no frame: %+v", r)
		}
		f(i, &r)
	}
}

// decodeSuricata is Suricata's view of every frame.
func decodeSuricata(t *testing.T, binary string, link packet.LinkType, frames [][]byte) []view {
	t.Helper()
	ip := func(s string) string {
		if a, err := netip.ParseAddr(s); err == nil {
			return a.String()
		}
		return "invalid IP"
	}
	views := make([]view, len(frames))
	decoderRecords(t, binary, "windows: [0.0.0.0/0]", link, frames, func(i int, r *record) {
		v := &views[i]
		switch {
		case r.Type == "alert":
			v.packets = append(v.packets, packetLine(r.Tunnel.Depth, ip(r.Src), ip(r.Dst), r.From, r.SrcPort, r.DstPort, r.VLAN, r.FlowID != 0, r.Payload))
		case strings.HasPrefix(r.Anomaly.Event, "decoder.") && !slices.Contains(defragEvents, r.Anomaly.Event):
			v.events = append(v.events, r.Anomaly.Event)
		}
	})
	for i := range views {
		views[i].sort()
	}
	return views
}

// TestDecoders compares what both decoders make of odd frames. SLUICE_ORACLE=1 runs
// it; SLUICE_SEED repeats a run, SLUICE_ROUNDS makes it longer.
func TestDecoders(t *testing.T) {
	suricata := needSuricata(t)
	_, r := seeded(t)
	differ, total := 0, 0
	for range number("SLUICE_ROUNDS", 10) {
		for _, link := range []packet.LinkType{packet.LinkEthernet, packet.LinkRaw, packet.LinkPPP, packet.LinkNull, packet.LinkSLL, packet.LinkCHDLC} {
			n := 300
			if link == packet.LinkEthernet {
				n = 2000
			}
			frames := make([][]byte, n)
			for i := range frames {
				b := builder{r: r}
				frames[i] = b.spoil(b.link(link))
			}
			theirs := decodeSuricata(t, suricata, link, frames)
			for i, frame := range frames {
				total++
				ours, ok := decode(link, frame)
				if !ok || ours.equal(&theirs[i]) {
					continue
				}
				if differ++; differ <= 20 {
					t.Errorf("link type %d, %x\nSuricata: %s\n\t%s\nSluice: %s\n\t%s", link, frame, theirs[i].events,
						strings.Join(theirs[i].packets, "\n\t"), ours.events, strings.Join(ours.packets, "\n\t"))
				}
			}
		}
	}
	t.Logf("%d of %d frames decoded alike", total-differ, total)
}

// TestOddRecords compares the records of both engines about odd frames, all but TCP: what rules about
// events and headers find, what is dropped with what is around it, and which flows there are.
func TestOddRecords(t *testing.T) {
	suricata := needSuricata(t)
	_, r := seeded(t)
	same, all := 0, 0
	differences := differences{}
	for round := range number("SLUICE_ROUNDS", 4) {
		mode := []string{"ids", "ips"}[round%2]
		rules := []string{
			`alert ip any any -> any any (ttl:>0; sid:1;)`,
			`alert udp any any -> any any (dsize:>10; sid:2;)`,
			`alert icmp any any -> any any (itype:8; sid:3;)`,
			`alert ip any any -> any any (ip_proto:47; sid:4;)`,
		}
		for e := range packet.Event(packet.NumDecoderEvents) {
			// Suricata knows E-Tags as of version 8.
			if _, ok := packet.DecoderEvent(e.Name()); ok && !strings.HasPrefix(e.Name(), "etag.") {
				rules = append(rules, fmt.Sprintf(`alert pkthdr any any -> any any (decode-event:%s; sid:%d;)`, e.Name(), len(rules)+1))
			}
		}
		if mode == "ips" {
			rules = append(rules, fmt.Sprintf(`drop udp any any -> any any (content:"a"; sid:%d;)`, len(rules)+1),
				fmt.Sprintf(`drop ip any any -> any any (decode-event:ipv6.dstopts_unknown_opt; sid:%d;)`, len(rules)+2))
		}
		var frames [][]byte
		for range 1000 {
			b := builder{r: r, noTCP: true}
			frames = append(frames, b.spoil(b.ethernet()))
		}
		dir := t.TempDir()
		capture := filepath.Join(dir, "frames.pcap")
		writeCapture(t, capture, frames)
		theirs, ours := suricataRecords(t, suricata, dir, mode, rules, capture), sluiceRecords(t, dir, mode, rules, capture)
		n, of := differences.compare(theirs.byPacket(), ours.byPacket(), mode, rules)
		same, all = same+n, all+of
	}
	differences.log(t)
	t.Logf("%d of %d records alike", same, all)
	if same < all*99/100 {
		t.Error("agreement is below 99%")
	}
}

// byPacket arranges the records of packets by the times of those instead of by their addresses,
// which many packets share.
func (r records) byPacket() records {
	all := records{}
	for key, list := range r {
		kind, _, _ := strings.Cut(key, " ")
		_, last, _ := strings.Cut(key[strings.LastIndex(key, ":"):], " ")
		for _, r := range list {
			if kind != `"flow"` && kind != `"netflow"` {
				key = fmt.Sprintf("%s %s from %s %s %s %s > %s %s", kind, r["timestamp"], r["pkt_src"], r["src_ip"], r["src_port"], r["dest_ip"], r["dest_port"], last)
			}
			all[key] = append(all[key], r)
		}
	}
	return all
}

// builder makes frames of nested headers, most of them right.
type builder struct {
	r     *rand.Rand
	depth int
	noTCP bool // whose segments belong to no connection
}

func (b *builder) bytes(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(b.r.Uint32())
	}
	return data
}

func (b *builder) one(n int) bool { return b.r.IntN(n) == 0 }

// spoil changes or cuts a frame, or leaves it as it is.
func (b *builder) spoil(frame []byte) []byte {
	for range b.r.IntN(3) {
		switch at := b.r.IntN(len(frame) + 1); {
		case at == len(frame):
		case b.one(6):
			frame = frame[:at]
		case b.one(4):
			frame = append(frame, b.bytes(1+b.r.IntN(8))...)
		case b.one(2):
			frame[at] ^= 1 << b.r.IntN(8)
		default:
			frame[at] = byte(b.r.Uint32())
		}
	}
	return frame
}

func be(v ...uint16) []byte {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, x)
	}
	return b
}

func (b *builder) link(link packet.LinkType) []byte {
	switch link {
	case packet.LinkEthernet:
		return b.ethernet()
	case packet.LinkPPP:
		return b.ppp()
	case packet.LinkNull:
		data := []byte{pick(b.r, []byte{2, 2, 10, 24, 28, 30, 7}), 0, 0, 0}
		if data[0] == 2 {
			return append(data, b.ipv4()...)
		}
		return append(data, b.ipv6()...)
	case packet.LinkSLL:
		etherType, rest := b.ether()
		return append(append(b.bytes(14), be(etherType)...), rest...)
	case packet.LinkCHDLC:
		etherType, rest := b.ether()
		return append(be(0x0f00, etherType), rest...)
	}
	if b.one(2) {
		return b.ipv4()
	}
	return b.ipv6()
}

func (b *builder) ethernet() []byte {
	etherType, rest := b.ether()
	return append(append(b.bytes(12), be(etherType)...), rest...)
}

// ether returns something that follows an Ethernet type, and the type.
func (b *builder) ether() (uint16, []byte) {
	if b.depth++; b.depth > 8 || b.one(2) {
		if b.one(2) {
			return 0x0800, b.ipv4()
		}
		return 0x86dd, b.ipv6()
	}
	switch b.r.IntN(12) {
	case 0, 1, 2:
		etherType, rest := b.ether()
		return pick(b.r, []uint16{0x8100, 0x8100, 0x88a8, 0x9100}), append(be(uint16(b.r.IntN(4096)), etherType), rest...)
	case 3:
		etherType, rest := b.ether()
		return 0x88e7, append(append(b.bytes(16), be(etherType)...), rest...)
	case 4, 5:
		return pick(b.r, []uint16{0x8847, 0x8848}), b.mpls()
	case 6:
		p := b.ppp()
		return 0x8864, append(be(0x1100, 1, uint16(len(p))), p...)
	case 7:
		return 0x8863, append([]byte{0x11, pick(b.r, []byte{7, 9, 0x19, 0x65, 0xa7, 1}), 0, 0, 0, byte(b.r.IntN(12))}, b.bytes(b.r.IntN(12))...)
	case 8:
		return 0x8903, append(b.bytes(2), b.ethernet()...)
	case 9:
		etherType, rest := b.ether()
		return 0x8926, append(append(b.bytes(4), be(etherType)...), rest...)
	case 10:
		return 0x894f, b.nsh()
	}
	return pick(b.r, []uint16{0x0806, 0x0100, 0x88cc}), b.bytes(b.r.IntN(50))
}

func (b *builder) mpls() []byte {
	var data []byte
	for !b.one(2) {
		data = binary.BigEndian.AppendUint32(data, b.r.Uint32()&^0x100)
	}
	label := b.r.Uint32N(1 << 20)
	if b.one(3) {
		label = b.r.Uint32N(17)
	}
	data = binary.BigEndian.AppendUint32(data, label<<12|0x1ff)
	switch {
	case label == 0 || b.one(3):
		return append(data, b.ipv4()...)
	case label == 2 || b.one(2):
		return append(data, b.ipv6()...)
	}
	return append(append(data, 0, 0, 0, 0), b.ethernet()...)
}

func (b *builder) ppp() []byte {
	var data []byte
	if b.one(3) {
		data = []byte{0xff, 3}
	}
	proto := pick(b.r, []uint16{0x21, 0x21, 0x21, 0x57, 0x57, 0x2f, 0xc021, 0x8021, 0x00fd, 0x0123, uint16(b.r.Uint32())})
	if proto < 256 && proto&1 != 0 && b.one(3) {
		data = append(data, byte(proto))
	} else {
		data = append(data, be(proto)...)
	}
	if proto == 0x57 {
		return append(data, b.ipv6()...)
	}
	return append(data, b.ipv4()...)
}

func (b *builder) nsh() []byte {
	words := 2 + b.r.IntN(6)
	next := pick(b.r, []byte{1, 1, 2, 3, 3, 4, 5, 0xfe, 0xff, byte(b.r.Uint32())})
	data := append([]byte{0, byte(words), pick(b.r, []byte{1, 1, 2, 2, 0, 15}), next}, b.bytes(4*words-4)...)
	switch next {
	case 2:
		return append(data, b.ipv6()...)
	case 3:
		return append(data, b.ethernet()...)
	case 5:
		return append(data, b.mpls()...)
	}
	return append(data, b.ipv4()...)
}

func (b *builder) ipv4() []byte {
	b.depth++
	proto, body := b.above4()
	var options []byte
	if b.one(3) {
		options = b.options([]byte{7, 25, 68, 130, 131, 133, 134, 136, 137, 148, byte(b.r.Uint32())})
		options = options[:min(len(options), 40)]
	}
	header := append([]byte{
		0x40 | byte(20+len(options))/4, byte(b.r.Uint32()), 0, 0, // version, length; type of service
		byte(b.r.Uint32()), byte(b.r.Uint32()), 0, 0, // identification, fragment
		byte(b.r.Uint32()), proto, 0, 0, // time to live
		10, byte(b.r.Uint32()), byte(b.r.Uint32()), byte(b.r.Uint32()),
		10, byte(b.r.Uint32()), byte(b.r.Uint32()), byte(b.r.Uint32()),
	}, options...)
	if b.one(20) {
		copy(header[6:], b.bytes(2))
	}
	binary.BigEndian.PutUint16(header[2:], uint16(len(header)+len(body)))
	return append(header, body...)
}

// options returns TCP or IPv4 options of some kinds, padded.
func (b *builder) options(kinds []byte) []byte {
	var data []byte
	for range 1 + b.r.IntN(4) {
		switch kind := pick(b.r, kinds); {
		case b.one(5):
			data = append(data, 1)
		default:
			size := pick(b.r, []int{2, 3, 4, 4, 6, 7, 8, 10, 11, 12, 18, b.r.IntN(20)})
			option := append([]byte{kind, byte(size)}, b.bytes(max(size, 2)-2)...)
			if size > 2 {
				option[2] = byte(b.r.IntN(12))
			}
			data = append(data, option...)
		}
	}
	for len(data)%4 != 0 {
		data = append(data, 0)
	}
	return data
}

// above4 returns what IPv4 carries.
func (b *builder) above4() (uint8, []byte) {
	if b.depth < 8 {
		switch b.r.IntN(8) {
		case 0:
			return 41, b.ipv6()
		case 1:
			return 4, b.ipv4()
		case 2:
			return 47, b.gre()
		}
	}
	switch b.r.IntN(9) {
	case 0:
		return 1, b.icmp(20)
	case 1:
		return uint8(b.r.Uint32()), b.bytes(b.r.IntN(40))
	case 2:
		return 58, b.icmp(20)
	}
	return b.transport()
}

// transport returns a protocol that both versions of IP carry.
func (b *builder) transport() (uint8, []byte) {
	switch n := b.r.IntN(6); {
	case n < 2 && b.noTCP:
	case n < 2:
		var options []byte
		if b.one(2) {
			options = b.options([]byte{2, 3, 4, 5, 5, 8, 19, 29, 34, 34, 253, 254, byte(b.r.Uint32())})
			options = options[:min(len(options), 40)]
		}
		data := append(append(b.bytes(20), options...), b.bytes(b.r.IntN(20))...)
		data[12] = byte(20+len(options)) / 4 << 4
		return 6, data
	case n == 2:
		return 132, b.bytes(b.r.IntN(40))
	case n == 3:
		return 50, b.bytes(b.r.IntN(40))
	}
	body := b.bytes(b.r.IntN(30))
	port := uint16(b.r.Uint32())
	if b.depth < 8 && b.one(2) {
		switch b.r.IntN(3) {
		case 0:
			port, body = 3544, b.ipv6()
			if b.one(3) {
				body = append([]byte{0, 0, 1, 2, 3, 4, 5, 6}, body...)
			}
		case 1:
			port, body = 4789, append([]byte{8, 0, 0, 0, 1, 2, 3, 0}, b.ethernet()...)
		case 2:
			port, body = 6081, b.geneve()
		}
	}
	ports := be(uint16(b.r.Uint32()), port)
	if b.one(4) {
		ports = be(port, uint16(b.r.Uint32()))
	}
	length := uint16(8 + len(body))
	if b.one(10) {
		length = uint16(b.r.IntN(80))
	}
	return 17, append(append(ports, be(length, 0)...), body...)
}

func (b *builder) geneve() []byte {
	options := []byte{}
	for !b.one(2) {
		words := b.r.IntN(4)
		options = append(append(options, 0, 1, byte(b.r.Uint32()), byte(words)), b.bytes(words*4)...)
	}
	etherType := pick(b.r, []uint16{0x6558, 0x6558, 0x0800, 0x86dd, 0x0806, 0x8100})
	data := append(append([]byte{byte(len(options) / 4), 0}, be(etherType)...), 1, 2, 3, 0)
	data = append(data, options...)
	switch etherType {
	case 0x0800:
		return append(data, b.ipv4()...)
	case 0x86dd:
		return append(data, b.ipv6()...)
	}
	return append(data, b.ethernet()...)
}

func (b *builder) gre() []byte {
	version := uint16(0)
	if b.one(4) {
		version = 1
	}
	flags := version
	proto := pick(b.r, []uint16{0x0800, 0x0800, 0x86dd, 0x6558, 0x8100, 0x88be, 0x880b, 0x0806, uint16(b.r.Uint32())})
	if version == 1 && !b.one(5) {
		proto, flags = 0x880b, flags|0x2000
	}
	for _, flag := range []uint16{0x8000, 0x4000, 0x2000, 0x1000} {
		if b.one(6) && (version == 0 || flag < 0x2000) {
			flags |= flag
		}
	}
	if version == 1 && b.one(3) {
		flags |= 0x0080
	}
	if b.one(20) {
		flags |= 1 << b.r.IntN(16)
	}
	data := be(flags, proto)
	if version == 0 && flags&0xc000 != 0 {
		data = append(data, b.bytes(4)...)
	}
	for _, flag := range []uint16{0x2000, 0x1000, 0x0080} {
		if flags&flag != 0 {
			data = append(data, b.bytes(4)...)
		}
	}
	if version == 0 && flags&0x4000 != 0 {
		for !b.one(2) {
			n := b.r.IntN(9)
			data = append(append(data, 0, byte(b.r.IntN(3)), 0, byte(n)), b.bytes(n)...)
		}
		data = append(data, 0, 0, 0, 0)
	}
	switch proto {
	case 0x0800:
		return append(data, b.ipv4()...)
	case 0x86dd:
		return append(data, b.ipv6()...)
	case 0x8100:
		etherType, rest := b.ether()
		return append(append(data, be(uint16(b.r.IntN(4096)), etherType)...), rest...)
	case 0x88be:
		if flags&0x1000 != 0 {
			data = append(data, be(0x1000|uint16(b.r.IntN(3)), 1, 2, 3)...)
		}
		return append(data, b.ethernet()...)
	case 0x880b:
		return append(data, b.ppp()...)
	}
	return append(data, b.ethernet()...)
}

func (b *builder) icmp(header int) []byte {
	data := append([]byte{byte(b.r.Uint32()), pick(b.r, []byte{0, 0, 0, 1, 2, 3, 5, 16, 255})}, b.bytes(6)...)
	if b.one(2) {
		data[0] = pick(b.r, []byte{0, 3, 4, 5, 8, 9, 11, 12, 13, 14, 1, 2, 128, 129, 130, 133, 135, 138, 139})
	}
	if b.one(3) {
		return append(data, b.bytes(b.r.IntN(2*header))...)
	}
	if header == 20 {
		return append(data, b.ipv4()...)
	}
	return append(data, b.ipv6()...)
}

func (b *builder) ipv6() []byte {
	b.depth++
	next, body := b.above6()
	data := append([]byte{0x60, 0, 0, 0}, be(uint16(len(body)))...)
	data = append(data, next, pick(b.r, []byte{1, 64, 0}))
	data = append(append(data, 0x20, 1), b.bytes(14)...)
	data = append(append(data, 0x20, 1), b.bytes(14)...)
	return append(data, body...)
}

// above6 returns what follows an IPv6 header or an extension of it.
func (b *builder) above6() (uint8, []byte) {
	if b.one(3) {
		kind := pick(b.r, []uint8{0, 0, 43, 44, 51, 60, 60, 135, 139, 140})
		next, rest := b.above6()
		var header []byte
		switch kind {
		case 0, 60:
			header = b.options6()
		case 44:
			header = append([]byte{0, byte(b.r.IntN(2)), 0, 0}, b.bytes(4)...)
			if b.one(3) {
				copy(header[2:], b.bytes(2))
			}
		case 51:
			n := 1 + b.r.IntN(5)
			header = append([]byte{0, byte(n), 0, byte(b.r.IntN(2))}, b.bytes(4*n+4)...)
		default:
			n := b.r.IntN(3)
			header = append([]byte{0, byte(n), byte(b.r.IntN(3)), byte(b.r.IntN(2))}, b.bytes(8*n+4)...)
		}
		header[0] = next
		return kind, append(header, rest...)
	}
	if b.depth < 8 {
		switch b.r.IntN(8) {
		case 0:
			return 41, b.ipv6()
		case 1:
			return 4, b.ipv4()
		case 2:
			return 47, b.gre()
		}
	}
	switch b.r.IntN(9) {
	case 0, 1:
		return 58, b.icmp(40)
	case 2:
		return uint8(b.r.Uint32()), b.bytes(b.r.IntN(40))
	case 3:
		return 59, b.bytes(b.r.IntN(3))
	case 4:
		return 1, b.icmp(40)
	}
	return b.transport()
}

func (b *builder) options6() []byte {
	data := []byte{0, 0}
	for range b.r.IntN(4) {
		kind := pick(b.r, []byte{0, 0, 1, 1, 5, 0xc2, 0xc9, byte(b.r.Uint32())})
		if kind == 0 {
			data = append(data, 0)
			continue
		}
		n := pick(b.r, []int{0, 1, 2, 4, 16, b.r.IntN(9)})
		data = append(append(data, kind, byte(n)), b.bytes(n)...)
	}
	for len(data)%8 != 0 {
		data = append(data, 0)
	}
	data[1] = byte(len(data)/8 - 1)
	return data
}
