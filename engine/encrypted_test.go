package engine

import (
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/pktio"
)

// Records of TLS 1.3 in the clear, as far as it is: a ServerHello without extensions but the version,
// and one of application data.
const (
	serverHello = "\x16\x03\x03\x00\x32\x02\x00\x00\x2e\x03\x03abcdefghijklmnopqrstuvwxyz012345\x00\x13\x01\x00\x00\x06\x00\x2b\x00\x02\x03\x04"
	appData     = "\x17\x03\x03\x00\x0asecret bye"
)

// TestEncrypted: rules look at the first encrypted packet, and not into those that follow. Those do
// not count as empty, nor do they for a dsize that asks for a payload, as in Suricata.
func TestEncrypted(t *testing.T) {
	for _, inline := range []bool{true, false} {
		r := newRig(t, programWith(t, `alert tcp-pkt any any -> any any (content:"secret"; sid:1;)
alert tcp-stream any any -> any any (content:"secret"; sid:2;)
alert tcp any any -> any any (ttl:64; flow:established; sid:3;)
alert tcp any any -> any any (dsize:15; flow:established; sid:4;)
alert tcp any any -> any any (dsize:0; flow:established; sid:5;)
alert tcp any any -> any any (tcp.hdr; content:"secret"; sid:6;)
alert tcp any any -> any any (dsize:<16; flow:established,to_client; sid:7;)`, detect.Options{}), func(o *Options) { o.Inline = inline })
		c := newConn("1")
		r.open(c)
		r.accepts("a hello", c.c2s(data, hello(t, "a.example")))
		r.accepts("an answer", c.s2c(data, serverHello))
		r.accepts("an ACK of both", c.c2s(ack, ""))
		for range 3 {
			r.accepts("data", c.s2c(data, appData))
			r.accepts("an ACK", c.c2s(ack, ""))
		}
		of := map[uint32]int{}
		for _, a := range r.rec.alerts {
			of[a.SID]++
		}
		want := map[bool]map[uint32]int{true: {1: 1, 2: 1, 3: 9, 4: 1, 5: 4, 7: 3}, false: {1: 1, 3: 9, 4: 1, 5: 3, 7: 3}}[inline]
		for sid := uint32(1); sid <= 7; sid++ {
			if of[sid] != want[sid] {
				t.Errorf("inline %v: rule %d alerts %d times, want %d", inline, sid, of[sid], want[sid])
			}
		}
	}
}

// TestHoleInTLS: Suricata's parser of TLS does not take a hole, which drops the flow where rule files
// decide, and where bytes that are encrypted are missing too.
func TestHoleInTLS(t *testing.T) {
	for _, suricata := range []bool{true, false} {
		for _, encrypted := range []bool{true, false} {
			r := newRig(t, programWith(t, ``, detect.Options{}, func(p *detect.Program) { p.Suricata = suricata }))
			c := newConn("1")
			r.open(c)
			r.accepts("a hello", c.c2s(data, hello(t, "a.example")))
			r.accepts("an answer", c.s2c(data, serverHello))
			if encrypted {
				r.accepts("data", c.s2c(data, appData))
			}
			c.serverSeq += 100
			r.accepts("an ACK of what was not seen", c.c2s(ack, ""))
			verdict := pktio.Accept
			if suricata {
				verdict = pktio.Drop
			}
			r.want(verdict, "behind the hole", c.s2c(data, appData))
			if suricata {
				r.dropped(ReasonParser, 1)
			}
		}
	}
}

// TestEncryptedBytesAreNotKept: what is encrypted waits for nobody, in either mode.
func TestEncryptedBytesAreNotKept(t *testing.T) {
	for _, inline := range []bool{true, false} {
		r := newRig(t, programWith(t, `alert tcp-stream any any -> any any (content:"secret"; sid:1;)`, detect.Options{},
			func(p *detect.Program) { p.Suricata = true }), func(o *Options) { o.Inline = inline })
		c := newConn("1")
		r.open(c)
		r.accepts("a hello", c.c2s(data, hello(t, "a.example")))
		r.accepts("an answer", c.s2c(data, serverHello))
		r.accepts("an ACK of both", c.c2s(ack, ""))
		for range 100 {
			r.accepts("data", c.s2c(data, "\x17\x03\x03\x04\x00"+strings.Repeat("x", 1024)))
			r.accepts("an ACK", c.c2s(ack, ""))
		}
		if n := r.w.pool.InUse(); n > 50_000 {
			t.Errorf("inline %v: %d bytes are held of 100,000 that are encrypted", inline, n)
		}
	}
}
