package engine

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// broken panics at every alert.
type broken struct{ recorder }

func (*broken) Alert(*eve.Alert) { panic("broken") }

// TestPanic: a panic costs its packet and its flow, and nothing else.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, program(t, `alert udp any any -> any 99 (sid:1;)`), func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	r.w.records = &broken{}
	good, bad := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil), packettest.UDP("10.0.0.1:1", "10.0.0.2:99", nil)
	batch := []pktio.Packet{offloaded(good), offloaded(bad), offloaded(good), offloaded(bad)}
	r.w.judge(batch)
	for i, want := range []pktio.Verdict{pktio.Accept, pktio.Drop, pktio.Accept, pktio.Drop} {
		if batch[i].Verdict != want {
			t.Errorf("packet %d: verdict %d", i, batch[i].Verdict)
		}
	}
	r.counter(cPanics, 2)
	r.counter(cEnded+int(flow.Failed), 2)
	r.dropped(ReasonPanic, 2)
	r.addsUp()
	if r.w.table.Len() != 1 {
		t.Errorf("%d flows", r.w.table.Len())
	}
	if s := log.String(); strings.Count(s, "level=ERROR") != 1 || !strings.Contains(s, "process.go") {
		t.Errorf("log: %s", s)
	}
	r.w.guard(func() { panic("elsewhere") })
	r.counter(cPanics, 3)
}

// mute panics at every record of a flow.
type mute struct{ recorder }

func (*mute) Flow(*eve.Flow) { panic("mute") }

// TestPanicAtTheEnd: flows whose end makes the engine panic end all the same.
func TestPanicAtTheEnd(t *testing.T) {
	r := newRig(t, program(t, `alert udp any any -> any 99 (sid:1;)`))
	r.w.records = &mute{}
	for _, from := range []string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"} {
		r.accepts("a packet", packettest.UDP(from, "10.0.0.2:2", nil))
	}
	r.w.setProgram(nil)
	r.counter(cPanics, 3)
	if r.w.table.Len() != 0 {
		t.Errorf("%d flows are left", r.w.table.Len())
	}
}

// fuzzRules uses every kind of rule.
const fuzzRules = `pass tls any any -> any any (tls.sni; content:"example.com"; endswith; sid:1;)
drop http any any -> any any (http.host; content:"bad.example"; sid:2;)
drop dns any any -> any any (dns.query; content:"evil"; nocase; sid:3;)
reject tcp any any -> any any (content:"evil"; sid:4;)
reject udp any any -> any any (content:"evil"; sid:5;)
alert tcp any any -> any any (flags:S; sid:6;)
alert ip 10.0.0.0/8 any -> any any (sid:7;)
alert tcp any any -> any any (flow:established,to_server; content:"a"; content:"b"; distance:1; sid:8;)`

// FuzzWorker throws packets at a worker: the input is cut into commands, each of
// which takes one of a few packets and changes bytes of it.
func FuzzWorker(f *testing.F) {
	c := newConn("1")
	seeds := [][]byte{
		c.syn(), c.s2c(synAck, ""), c.c2s(ack, ""), c.c2s(data, hello(f, "www.example.com")), c.s2c(data, "evil a b"),
		c.c2s(data, "GET / HTTP/1.1\r\nHost: bad.example\r\n\r\n"), c.c2s(fin, ""), c.s2c(fin, ""), c.s2c(rst, ""),
		packettest.UDP("10.0.0.1:1", "10.0.0.2:53", query("evil.example")),
		packettest.ICMP("10.0.0.2", "10.0.0.1", 3, 3, 0, packettest.UDP("10.0.0.1:1", "10.0.0.2:53", nil)),
		packettest.TCP("[2001:db8::1]:1", "[2001:db8::2]:2", syn, 1, 0, nil),
		packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:2", make([]byte, 99)), 60)[1],
	}
	seeds = append(seeds, query53("evil.example")...)
	inner := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("evil in a tunnel, or two"))
	seeds = append(seeds, gre(inner), vxlan(gre(inner)), gre(packettest.Fragments(inner, 44)[0]), gre(packettest.Fragments(inner, 44)[1]))
	seeds = append(seeds, packettest.Fragments(vxlan(inner), 60)...)
	f.Add([]byte{0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0}, uint8(0))
	f.Add([]byte{0, 0, 0, 1, 0, 0, 2, 0, 0, 4, 9, 40, 6, 0, 0, 7, 0, 0, 8, 13, 33, 9, 1, 1, 10, 2, 2, 11, 3, 3, 12, 4, 4}, uint8(7))
	f.Add([]byte{15, 0, 0, 14, 0, 0, 13, 0, 0, 13, 0, 0, 14, 0, 0}, uint8(0))
	for i := range len(seeds) {
		f.Add([]byte{byte(i), 0, 0, byte(i + 1), 0, 0, byte(i + 2), 0, 0, byte(i), 30, 1}, uint8(0x20))
	}
	f.Fuzz(func(t *testing.T, commands []byte, setup uint8) {
		p := program(t, fuzzRules, exception(detect.Exception(setup%uint8(detect.NumExceptions))), dropDefault(detect.Family(setup>>2%uint8(detect.NumFamilies))))
		p.Suricata = setup&0x20 != 0
		r := newRig(t, p, func(o *Options) {
			o.FlowLimit, o.VerifyChecksums, o.Inline, o.Tunnels = 3, false, setup&0x40 == 0, true
			if setup&0x80 != 0 {
				o.StreamMemory = 20_000
			}
		})
		r.w.rememberDomains([domainSources]bool{true, true})
		for ; len(commands) >= 3; commands = commands[3:] {
			ip := bytes.Clone(seeds[int(commands[0])%len(seeds)])
			if at := int(commands[1]); at > 0 {
				ip[at%len(ip)] ^= commands[2]
			}
			if commands[0] >= 0x80 {
				ip = ip[:len(ip)-int(commands[2])%len(ip)]
			}
			r.raw(pktio.Packet{Data: ip, Link: packet.LinkRaw, Offload: commands[1]&1 != 0, MSS: uint16(commands[2])})
			switch {
			case commands[0] > 0xf0:
				r.run(Operation{Flush: commands[0]&1 != 0, Filters: []flow.Filter{{}}, Limit: 2})
			case commands[0] > 0xe0:
				r.pass(float64(commands[2]))
				r.sweep()
			}
		}
		if n := r.w.n[cPanics]; n > 0 {
			t.Fatalf("%d panics", n)
		}
		r.addsUp()
		r.w.table.EndAll(flow.Shutdown)
		if r.w.sessions.InUse() != 0 || r.w.pool.InUse() != 0 || len(r.w.names.index) != 0 {
			t.Errorf("left: %d bytes of sessions, %d of streams, %d names", r.w.sessions.InUse(), r.w.pool.InUse(), len(r.w.names.index))
		}
	})
}
