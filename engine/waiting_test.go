package engine

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
)

// echoes are n requests of SMB 2 (MS-SMB2, 2.2.1 and 2.2.28) that nobody answers.
func echoes(from, n int) string {
	var b strings.Builder
	for i := range n {
		m := make([]byte, 4+64)
		m[3] = byte(len(m) - 4)
		copy(m[4:], "\xfeSMB\x40")
		binary.LittleEndian.PutUint16(m[16:], 13)
		binary.LittleEndian.PutUint64(m[28:], uint64(from+i))
		b.Write(m)
	}
	return b.String()
}

// TestEventsThatWait: a client that goes on and on, with more requests than may be open, to a server that has nothing
// to say but ACKs takes no memory that grows with what it sends.
func TestEventsThatWait(t *testing.T) {
	const burst, bursts = 800, 20
	r := newRig(t, programWith(t, `alert smb any any -> any any (app-layer-event:smb.too_many_transactions; sid:1;)`, detect.Options{}),
		func(o *Options) { o.StreamMemory = 64 << 20 })
	c := newConn("1")
	c.server = "192.0.2.1:445"
	r.open(c)
	held := int64(0)
	for n := range bursts {
		r.accepts("requests", c.c2s(data, echoes(n*burst, burst)))
		r.accepts("an ACK", c.s2c(ack, ""))
		if n == 2 {
			held = r.w.sessions.InUse()
		}
	}
	if len(r.rec.alerts) == 0 {
		t.Error("the event is not seen")
	}
	f, _ := r.w.table.Find(&r.w.key, r.now)
	i := r.w.inspectorOf(f)
	if i == nil {
		t.Fatal("the flow is not looked at any more")
	}
	if n := len(i.pending[packet.ToClient]); n > 0 {
		t.Errorf("%d events wait for a packet of the server, which has sent %d", n, bursts)
	}
	if now := r.w.sessions.InUse(); now > held*3/2 {
		t.Errorf("%d bytes are held, and %d before", now, held)
	}
}

// TestManyEventsWait: between two packets of a side no more than so many events are kept for it, and what is kept
// already is not kept again.
func TestManyEventsWait(t *testing.T) {
	r := newRig(t, programWith(t, ``, detect.Options{}))
	i := &inspector{}
	for n := range maxPending + maxRepeats {
		ev := applayer.Event{Hook: applayer.AnomalySeen, Anomaly: applayer.Anomaly(n % (2 * maxRepeats))}
		if kept := r.w.defers(i, ev, packet.ToClient); kept != (n < maxPending) {
			t.Fatalf("event %d kept: %v", n, kept)
		}
	}
	again := i.pending[packet.ToClient][maxPending-maxRepeats]
	if n := len(i.pending[packet.ToClient]); !r.w.defers(i, again, packet.ToClient) || n != maxPending {
		t.Errorf("%d events wait, want %d", n, maxPending)
	}
}
