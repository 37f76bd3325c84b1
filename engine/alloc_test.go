package engine

import (
	"encoding/binary"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/stateless"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// TestNoAllocs: nothing on a packet's way allocates.
func TestNoAllocs(t *testing.T) {
	rules := `pass tls any any -> any any (tls.sni; content:"example.com"; sid:1;)
drop http any any -> any any (http.host; content:"bad.example"; sid:2;)
drop tcp any any -> any any (content:"evil"; sid:3;)
drop ip 203.0.113.0/24 any -> any any (sid:4;)
drop udp any any -> any 99 (flow:to_server; sid:5;)
alert tcp any any -> any any (flow:not_established; sid:6;)`
	table := stateless.New([]stateless.Rule{{Protos: []uint8{17}, DstPorts: []stateless.PortRange{{From: 99, To: 99}}, Decision: stateless.Decision{Action: stateless.Drop, Custom: []uint16{0}}}},
		stateless.Decision{Action: stateless.Forward}, stateless.Decision{Action: stateless.Pass})
	for name, text := range map[string]string{"without rules": "", "with rules": rules} {
		r := newRig(t, program(t, text, exception(detect.ExceptionReject), func(p *detect.Program) { p.Stateless, p.Custom = table, []string{"Count"} }),
			func(o *Options) { o.Wants = &nobody{}; o.NewRecords = nil; o.Tunnels = true })
		c := newConn("1")
		r.open(c)
		segment, answer := c.c2s(data, "some data"), c.s2c(data, "and some more")
		tls := newConn("2")
		r.open(tls)
		r.accepts("hello", tls.c2s(data, hello(t, "www.example.com")))
		encrypted := tls.c2s(data, "\x17\x03\x03\x00\x04\xff\xff\xff\xff")
		udp, back := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("x")), packettest.UDP("10.0.0.2:2", "10.0.0.1:1", []byte("x"))
		begin := newConn("9")
		opening, closing := begin.syn(), begin.c2s(rst, "")
		advance := func(ip []byte, n uint32) []byte {
			binary.BigEndian.PutUint32(ip[24:], binary.BigEndian.Uint32(ip[24:])+n)
			return ip
		}
		batch := make([]pktio.Packet, 1)
		send := func(ip []byte) {
			r.now++
			batch[0] = offloaded(ip)
			batch[0].Time = r.now
			r.w.judge(batch)
		}
		for what, f := range map[string]func(){
			"TCP data":         func() { send(advance(segment, 9)); send(advance(answer, 13)) },
			"TLS data":         func() { send(advance(encrypted, 9)) },
			"UDP":              func() { send(udp); send(back) },
			"a flow's life":    func() { send(opening); send(closing); r.now += sec(11); r.sweep() },
			"DNS":              func() { send(dnsPacket) },
			"ICMP":             func() { send(echoPacket) },
			"midstream, reset": func() { send(strayPacket) },
			"stateless":        func() { send(statelessPacket) },
			"fragments":        func() { send(fragmentPackets[1]); send(fragmentPackets[0]) },
			"tunnels":          func() { send(tunnelPacket) },
			"a flush":          func() { r.w.table.Flush(&emptyFlush, r.now); r.sweep() },
		} {
			r.q.injected = make([]injected, 0, 4096)
			if n := testing.AllocsPerRun(500, f); n != 0 {
				t.Errorf("%s, %s: %v allocations", name, what, n)
			}
		}
		if r.w.n[cPanics] > 0 {
			t.Fatal("panics")
		}
	}
}

var (
	dnsPacket       = packettest.UDP("10.0.0.1:5", "10.0.0.2:53", query("www.example.com"))
	echoPacket      = packettest.ICMPEcho("10.0.0.1", "10.0.0.2", false, 1, 1, nil)
	strayPacket     = packettest.TCP("10.0.0.1:77", "10.0.0.2:88", ack, 1, 1, nil)
	statelessPacket = packettest.UDP("10.0.0.1:5", "10.0.0.2:99", nil)
	tunnelPacket    = packettest.IP("10.0.0.1", "10.0.0.2", 47, append([]byte{0, 0, 0x86, 0xdd}, packettest.UDP("[2001:db8::1]:5", "[2001:db8::2]:53", query("www.example.com"))...))
	fragmentPackets = packettest.Fragments(packettest.UDP("10.0.0.1:5", "10.0.0.2:53", query("www.example.com")), 60)
	emptyFlush      = flow.Operation[state]{Filters: []flow.Filter{}}
)
