package stream

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/sluicefw/sluice/engine/packet"
)

const (
	fin = packet.FIN
	syn = packet.SYN
	rst = packet.RST
	ack = packet.ACK
	c2s = packet.ToServer
	s2c = packet.ToClient
)

var zeros [1 << 16]byte

func tcp(flags uint8, seq, ackNum uint32, window uint16, n int) *packet.Packet {
	return &packet.Packet{
		Proto: packet.ProtoTCP, L4: zeros[:20], Payload: zeros[:n],
		TCP: packet.TCP{Flags: flags, Seq: seq, Ack: ackNum, Window: window},
	}
}

func scaled(p *packet.Packet, shift uint8) *packet.Packet {
	p.TCP.HasWScale, p.TCP.WScale = true, shift
	return p
}

func TestTrackerIsSmallAndFlat(t *testing.T) {
	if n := unsafe.Sizeof(Tracker{}); n > 40 {
		t.Errorf("a Tracker takes %d bytes, at most 40 wanted", n)
	}
}

type step struct {
	dir   packet.Dir
	p     *packet.Packet
	want  Outcome
	state State
}

// client and server number their bytes from 1000 and 5000; the client's numbers
// wrap in the scripts that add base.
func TestTracker(t *testing.T) {
	var base uint32 = 0xffffffff - 1002 // the client's second byte wraps
	changed := StateChanged
	handshake := []step{
		{c2s, tcp(syn, 1000, 0, 1000, 0), Accept, StateSynSent},
		{s2c, tcp(syn|ack, 5000, 1001, 1000, 0), changed, StateSynRecv},
		{c2s, tcp(ack, 1001, 5001, 1000, 0), changed | JustEstablished, StateEstablished},
	}
	with := func(steps ...step) []step { return append(handshake[:3:3], steps...) }
	tests := map[string][]step{
		"client closes first": with(
			step{c2s, tcp(ack, 1001, 5001, 1000, 100), Accept, StateEstablished},
			step{s2c, tcp(ack, 5001, 1101, 1000, 200), Accept, StateEstablished},
			step{c2s, tcp(fin|ack, 1101, 5201, 1000, 0), changed, StateCloseWait},
			step{s2c, tcp(ack, 5201, 1102, 1000, 0), Accept, StateCloseWait},
			step{s2c, tcp(fin|ack, 5201, 1102, 1000, 0), changed, StateLastAck},
			step{c2s, tcp(ack, 1102, 5202, 1000, 0), changed | JustClosed, StateClosed},
			step{c2s, tcp(syn, 900, 0, 1000, 0), Reuse, StateClosed},
		),
		"server closes first": with(
			step{s2c, tcp(fin|ack, 5001, 1001, 1000, 10), changed, StateFinWait1},
			step{c2s, tcp(ack, 1001, 5012, 1000, 0), changed, StateFinWait2},
			step{c2s, tcp(fin|ack, 1001, 5012, 1000, 0), changed | JustClosed, StateTimeWait},
			step{s2c, tcp(ack, 5012, 1002, 1000, 0), Accept, StateTimeWait},
			step{c2s, tcp(fin|ack, 1001, 5012, 1000, 0), Retransmission, StateTimeWait},
			step{c2s, tcp(syn, 9000, 0, 1000, 0), Reuse, StateTimeWait},
		),
		"both close at once": with(
			step{s2c, tcp(fin|ack, 5001, 1001, 1000, 0), changed, StateFinWait1},
			step{c2s, tcp(fin|ack, 1001, 5001, 1000, 0), changed, StateClosing},
			step{c2s, tcp(ack, 1002, 5002, 1000, 0), changed | JustClosed, StateTimeWait},
		),
		"FIN and its ACK in one": with(
			step{s2c, tcp(fin|ack, 5001, 1001, 1000, 0), changed, StateFinWait1},
			step{c2s, tcp(fin|ack, 1001, 5002, 1000, 0), changed | JustClosed, StateTimeWait},
		),
		"bytes after FIN": with(
			step{c2s, tcp(fin|ack, 1001, 5001, 1000, 10), changed, StateCloseWait},
			step{c2s, tcp(ack, 1012, 5001, 1000, 1), invalid(AfterFIN), StateCloseWait},
			step{c2s, tcp(fin|ack, 1001, 5001, 1000, 5), invalid(AfterFIN), StateCloseWait},
		),
		"refused": {
			{c2s, tcp(syn, 1000, 0, 1000, 0), Accept, StateSynSent},
			{s2c, tcp(rst, 0, 0, 0, 0), invalid(BadRST), StateSynSent},
			{s2c, tcp(rst|ack, 0, 1000, 0, 0), invalid(BadRST), StateSynSent},
			{s2c, tcp(rst|ack, 0, 1001, 0, 0), changed | JustClosed, StateClosed},
			{c2s, tcp(syn, 1000, 0, 1000, 0), Reuse, StateClosed},
		},
		"resets": with(
			step{s2c, tcp(ack, 5001, 1001, 1000, 100), Accept, StateEstablished},
			step{c2s, tcp(ack, 1001, 5101, 1000, 0), Accept, StateEstablished},
			step{s2c, tcp(rst, 5100, 0, 0, 0), invalid(BadRST), StateEstablished},
			step{s2c, tcp(rst, 6102, 0, 0, 0), invalid(BadRST), StateEstablished},
			step{s2c, tcp(rst|syn, 5101, 0, 0, 0), invalid(BadFlags), StateEstablished},
			step{s2c, tcp(rst, 5101, 0, 0, 0), changed | JustClosed, StateClosed},
		),
		"SYN again": {
			{c2s, tcp(syn, 1000, 0, 1000, 0), Accept, StateSynSent},
			{c2s, tcp(syn, 1000, 0, 1000, 0), Retransmission, StateSynSent},
			{s2c, tcp(syn|ack, 5000, 1000, 1000, 0), invalid(BadAck), StateSynSent},
			{s2c, tcp(syn|ack, 5000, 1002, 1000, 0), invalid(BadAck), StateSynSent},
			{s2c, tcp(syn|ack, 5000, 1001, 1000, 0), changed, StateSynRecv},
			{c2s, tcp(syn, 1000, 0, 1000, 0), Retransmission, StateSynRecv},
			{s2c, tcp(syn|ack, 5000, 1001, 1000, 0), Retransmission, StateSynRecv},
			{s2c, tcp(syn|ack, 7000, 1001, 1000, 0), invalid(BadSYN), StateSynRecv},
			{c2s, tcp(syn, 4000, 0, 1000, 0), invalid(BadSYN), StateSynRecv},
			{c2s, tcp(ack, 1001, 5000, 1000, 0), invalid(BadAck), StateSynRecv},
			{c2s, tcp(ack, 1001, 5001, 1000, 0), changed | JustEstablished, StateEstablished},
			{s2c, tcp(syn|ack, 5000, 1001, 1000, 0), Retransmission, StateEstablished},
			{s2c, tcp(syn|ack, 9000, 1001, 1000, 0), invalid(SYNOnEstablished), StateEstablished},
			{c2s, tcp(syn, 4000, 0, 1000, 0), invalid(SYNOnEstablished), StateEstablished},
		},
		"SYN with another number": {
			{c2s, tcp(syn, 1000, 0, 1000, 0), Accept, StateSynSent},
			{c2s, tcp(syn, 2000, 0, 1000, 0), Reuse, StateSynSent},
		},
		"data before the answer": {
			{c2s, tcp(syn, 1000, 0, 1000, 0), Accept, StateSynSent},
			{c2s, tcp(ack, 1001, 1, 1000, 5), invalid(NoHandshake), StateSynSent},
		},
		"fast open, data taken": {
			{c2s, tcp(syn, 1000, 0, 1000, 100), Accept, StateSynSent},
			{s2c, tcp(syn|ack, 5000, 1101, 1000, 0), changed, StateSynRecv},
			{s2c, tcp(ack, 5001, 1101, 1000, 50), Accept, StateSynRecv},
			{c2s, tcp(ack, 1101, 5051, 1000, 0), changed | JustEstablished, StateEstablished},
		},
		"fast open, data not taken": {
			{c2s, tcp(syn, 1000, 0, 1000, 100), Accept, StateSynSent},
			{s2c, tcp(syn|ack, 5000, 1001, 1000, 0), changed, StateSynRecv},
			{c2s, tcp(ack, 1001, 5001, 1000, 100), changed | JustEstablished | Retransmission, StateEstablished},
		},
		"simultaneous open": {
			{c2s, tcp(syn, 1000, 0, 1000, 0), Accept, StateSynSent},
			{s2c, tcp(syn, 5000, 0, 1000, 0), changed, StateSynRecv},
			{c2s, tcp(syn|ack, 1000, 5001, 1000, 0), Retransmission, StateSynRecv},
			{s2c, tcp(syn|ack, 5000, 1001, 1000, 0), changed | JustEstablished | Retransmission, StateEstablished},
		},
		"split handshake": {
			{c2s, tcp(syn, 1000, 0, 1000, 0), Accept, StateSynSent},
			{s2c, tcp(syn, 5000, 0, 1000, 0), changed, StateSynRecv},
			{c2s, tcp(syn|ack, 1000, 5001, 1000, 0), Retransmission, StateSynRecv},
			{s2c, tcp(ack, 5001, 1001, 1000, 0), changed | JustEstablished, StateEstablished},
		},
		"windows": with(
			step{c2s, tcp(ack, 1501, 5001, 1000, 500), Accept, StateEstablished}, // out of order
			step{c2s, tcp(ack, 1001, 5001, 1000, 500), Retransmission, StateEstablished},
			step{c2s, tcp(ack, 2002, 5001, 1000, 1), invalid(OutOfWindow), StateEstablished},
			step{c2s, tcp(ack, 900, 5001, 1000, 100), invalid(OutOfWindow), StateEstablished},
			step{c2s, tcp(ack, 2001, 5002, 1000, 0), invalid(BadAck), StateEstablished},
			step{s2c, tcp(ack, 5001, 2001, 0, 0), Accept, StateEstablished}, // closed
			step{c2s, tcp(ack, 2000, 5001, 1000, 0), KeepAlive, StateEstablished},
			step{c2s, tcp(ack, 2000, 5001, 1000, 1), KeepAlive | Retransmission, StateEstablished},
			step{c2s, tcp(ack, 2001, 5001, 1000, 1), WindowProbe, StateEstablished},
			step{c2s, tcp(ack, 2003, 5001, 1000, 1), invalid(OutOfWindow), StateEstablished},
			step{s2c, tcp(ack, 5001, 2001, 65535, 0), Accept, StateEstablished}, // open again
			step{c2s, tcp(ack, 2001, 5001, 1000, 65535), Accept, StateEstablished},
			step{c2s, tcp(0, 2001, 0, 1000, 5), invalid(BadFlags), StateEstablished},
		),
		"wrap and scale": {
			{c2s, scaled(tcp(syn, base+1000, 0, 1000, 0), 3), Accept, StateSynSent},
			{s2c, scaled(tcp(syn|ack, 5000, base+1001, 1000, 0), 7), changed, StateSynRecv},
			{c2s, tcp(ack, base+1001, 5001, 1000, 1000), changed | JustEstablished, StateEstablished},
			{s2c, tcp(ack, 5001, base+2001, 1000, 0), Accept, StateEstablished},
			{c2s, tcp(ack, base+2001+128000, 5001, 1000, 1), Accept, StateEstablished},
			{c2s, tcp(ack, base+2001+128001, 5001, 1000, 1), invalid(OutOfWindow), StateEstablished},
			{s2c, tcp(ack, 5001+8000, base+2001, 1000, 1), Accept, StateEstablished},
			{s2c, tcp(ack, 5001+8001, base+2001, 1000, 1), invalid(OutOfWindow), StateEstablished},
		},
		"scale of one side does not count": {
			{c2s, scaled(tcp(syn, 1000, 0, 1000, 0), 3), Accept, StateSynSent},
			{s2c, tcp(syn|ack, 5000, 1001, 1000, 0), changed, StateSynRecv},
			{c2s, tcp(ack, 1001, 5001, 1000, 0), changed | JustEstablished, StateEstablished},
			{s2c, tcp(ack, 6002, 1001, 1000, 1), invalid(OutOfWindow), StateEstablished},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			var tr Tracker
			tr.Open(steps[0].p, steps[0].dir)
			for i, s := range steps[1:] {
				if got := tr.Update(s.p, s.dir); got != s.want || tr.State() != s.state {
					t.Fatalf("step %d: outcome %#x (%v), state %v; want %#x (%v), %v",
						i+1, got, got.Reason(), tr.State(), s.want, s.want.Reason(), s.state)
				}
			}
		})
	}
}

func TestMidstream(t *testing.T) {
	var tr Tracker
	tr.OpenMidstream(tcp(ack, 1000, 5000, 10, 100), c2s)
	if !tr.Established() || !tr.Midstream() || tr.State() != StateEstablished {
		t.Fatalf("picked up as %v", tr.State())
	}
	steps := []step{
		{c2s, tcp(ack, 1100, 9000, 10, 100), Accept, StateEstablished}, // of bytes that passed before
		{s2c, tcp(ack, 9000, 1100, 10, 50), Accept, StateEstablished},
		{s2c, tcp(ack, 9050, 500000, 10, 50), invalid(BadAck), StateEstablished},
		{c2s, tcp(ack, 1200+10<<14, 9000, 10, 1), invalid(OutOfWindow), StateEstablished},
		{c2s, tcp(ack, 1200, 9050, 10, 1), Accept, StateEstablished},
		{c2s, tcp(rst, 1000, 0, 0, 0), invalid(BadRST), StateEstablished},
		{c2s, tcp(rst, 1201, 0, 0, 0), StateChanged | JustClosed, StateClosed},
	}
	for i, s := range steps {
		if got := tr.Update(s.p, s.dir); got != s.want || tr.State() != s.state {
			t.Fatalf("step %d: outcome %#x (%v), state %v", i, got, got.Reason(), tr.State())
		}
	}

	tr.OpenMidstream(tcp(syn|ack, 5000, 1001, 1000, 0), s2c)
	if got := tr.Update(tcp(ack, 1001, 5001, 1000, 0), c2s); !got.Has(JustEstablished) {
		t.Errorf("the ACK after a SYN-ACK gave %#x (%v)", got, got.Reason())
	}
	tr.OpenMidstream(tcp(fin|ack, 5000, 1001, 1000, 0), s2c)
	if tr.State() != StateFinWait1 {
		t.Errorf("picked up with a FIN as %v", tr.State())
	}
	// One side only, for longer than any window.
	tr.OpenMidstream(tcp(ack, 0, 7, 10, 0), c2s)
	for n := uint32(0); n < 1<<17; n++ {
		if got := tr.Update(tcp(ack, n*60000, 7, 10, 60000), c2s); got.Has(Invalid) {
			t.Fatalf("packet %d of a side that is alone: %v", n, got.Reason())
		}
	}
}

func TestResetSeq(t *testing.T) {
	var tr Tracker
	check := func(dir packet.Dir, seq, ackNum uint32) {
		t.Helper()
		s, a, ok := tr.ResetSeq(dir)
		if !ok || s != seq || a != ackNum {
			t.Errorf("%v: %d, %d, %v; want %d, %d", dir, s, a, ok, seq, ackNum)
		}
	}
	tr.Open(tcp(syn, 1000, 0, 1000, 0), c2s)
	check(s2c, 0, 1001)
	check(c2s, 1001, 0)
	tr.Update(tcp(syn|ack, 5000, 1001, 1000, 0), s2c)
	tr.Update(tcp(ack, 1001, 5001, 1000, 10), c2s)
	check(c2s, 1011, 5001)
	check(s2c, 5001, 1011)
	var none Tracker
	if _, _, ok := none.ResetSeq(c2s); ok {
		t.Error("numbers for a connection that was not opened")
	}
}

func TestTrackerDoesNotAllocate(t *testing.T) {
	var tr Tracker
	p := [...]*packet.Packet{tcp(syn, 1, 0, 100, 0), tcp(syn|ack, 9, 2, 100, 0), tcp(ack, 2, 10, 100, 5)}
	if n := testing.AllocsPerRun(100, func() {
		tr.Open(p[0], c2s)
		tr.Update(p[1], s2c)
		tr.Update(p[2], c2s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// end is a simulated host, with numbers that do not wrap. What it sends passes
// the tracker at once and reaches the peer later, in any order, or never.
type end struct {
	isn             uint32
	shift           uint8
	una, nxt, limit int64 // of what it sends; nxt never exceeds limit
	edge            int64 // what it may send ends here
	received        int64
	buffered        int64 // received and not yet read by the application
	announced       int64 // right edge that it offered
	size            int64 // of its receive buffer
	finSent         bool
	inbox           []wire
}

type wire struct {
	seq, ack, win int64
	n             int64
	fin           bool
}

// history is the slow twin: all that was ever sent, in numbers of 64 bits.
type history struct {
	edges, wins []int64 // ack + window, and window, by its receiver's peer
	end         int64
}

func (h *history) maxEdge() int64 { return maxOf(h.edges) }
func (h *history) maxWin() int64  { return max(maxOf(h.wins), 1) }

func maxOf(s []int64) (m int64) {
	for _, v := range s {
		m = max(m, v)
	}
	return m
}

func TestTrackerOnRandomTraffic(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for run := range uint64(300) {
		simulate(t, rand.New(rand.NewPCG(seed, run)))
		if t.Failed() {
			t.Fatalf("seed %d, run %d", seed, run)
		}
	}
}

func simulate(t *testing.T, rng *rand.Rand) {
	var tr Tracker
	var hist [2]history
	scale := rng.IntN(3) > 0
	var ends [2]end
	for i := range ends {
		e := &ends[i]
		e.isn, e.size = rng.Uint32(), 2000+rng.Int64N(60000)
		if scale {
			e.shift = uint8(rng.IntN(8))
			e.size = 60000 << e.shift
		}
		e.limit = 1 + rng.Int64N(200*e.size)
		e.una, e.nxt = 1, 1
		e.received, e.announced = 1, 1+min(e.size, 65535)
	}
	packetOf := func(dir packet.Dir, w wire, flags uint8) *packet.Packet {
		me, you := &ends[dir], &ends[dir.Reverse()]
		win := w.win
		if flags&syn == 0 {
			win >>= me.shift
		}
		if w.fin {
			flags |= fin
		}
		return tcp(flags, me.isn+uint32(w.seq), you.isn+uint32(w.ack), uint16(win), int(w.n))
	}
	note := func(dir packet.Dir, w wire) {
		h, peer := &hist[dir], &hist[dir.Reverse()]
		length := w.n
		if w.fin {
			length++
		}
		h.end = max(h.end, w.seq+length)
		peer.edges = append(peer.edges, w.ack+w.win)
		peer.wins = append(peer.wins, w.win)
	}
	send := func(dir packet.Dir, seq, n int64, last bool) {
		me, you := &ends[dir], &ends[dir.Reverse()]
		edge := max(me.announced, me.received+me.size-me.buffered)
		win := max(min((edge-me.received)>>me.shift, 65535), 0) << me.shift
		me.announced = max(me.announced, me.received+win)
		w := wire{seq: seq, ack: me.received, win: win, n: n, fin: last}
		if o := tr.Update(packetOf(dir, w, ack), dir); o.Has(Invalid) {
			t.Errorf("%v %+v was called %v by %+v", dir, w, o.Reason(), tr)
		}
		note(dir, w)
		if rng.IntN(20) > 0 {
			you.inbox = append(you.inbox, w)
		}
	}

	first, second := tcp(syn, ends[0].isn, 0, uint16(min(ends[0].size, 65535)), 0), tcp(syn|ack, ends[1].isn, ends[0].isn+1, uint16(min(ends[1].size, 65535)), 0)
	if scale {
		scaled(first, ends[0].shift)
		scaled(second, ends[1].shift)
	}
	tr.Open(first, c2s)
	if o := tr.Update(second, s2c); o.Has(Invalid) {
		t.Fatalf("SYN-ACK: %v", o.Reason())
	}
	ends[0].edge, ends[1].edge = ends[1].announced, ends[0].announced
	for i := range hist {
		hist[i].end = 1
		hist[i].edges = []int64{ends[i].edge}
		hist[i].wins = []int64{ends[i].edge - 1}
	}
	send(c2s, 1, 0, false)

	for range 400 {
		dir := packet.Dir(rng.IntN(2))
		me, you := &ends[dir], &ends[dir.Reverse()]
		switch rng.IntN(8) {
		case 0, 1, 2: // new bytes, up to the size of a super-packet
			if n := min(me.edge-me.nxt, me.limit-me.nxt, 1+rng.Int64N(65000)); n > 0 && !me.finSent {
				send(dir, me.nxt, n, false)
				me.nxt += n
			}
		case 3: // retransmit from the oldest
			if n := min(me.nxt-me.una, 1+rng.Int64N(3000)); n > 0 && !me.finSent {
				send(dir, me.una, n, false)
			}
		case 4, 5: // receive something
			if len(me.inbox) == 0 {
				continue
			}
			i := rng.IntN(min(len(me.inbox), 3))
			w := me.inbox[i]
			me.inbox = append(me.inbox[:i], me.inbox[i+1:]...)
			me.una = max(me.una, w.ack)
			me.edge = max(me.edge, w.ack+w.win)
			if end := w.seq + w.n; w.seq <= me.received && end > me.received {
				me.buffered += end - me.received
				me.received = end
			}
			if w.n > 0 {
				send(dir, me.nxt, 0, false)
			}
		case 6: // the application reads
			me.buffered -= rng.Int64N(me.buffered + 1)
			send(dir, me.nxt, 0, false)
		case 7:
			switch {
			case me.nxt > 1 && rng.IntN(2) == 0 && !me.finSent: // keep-alive
				send(dir, me.nxt-1, 0, false)
			case me.nxt == me.edge && me.nxt < me.limit && !me.finSent: // window probe
				send(dir, me.nxt, 1, false)
				me.nxt++
			case rng.IntN(40) == 0 && !me.finSent:
				me.finSent = true
				send(dir, me.nxt, 0, true)
				me.nxt++
			}
		}

		// A blind packet is refused exactly where the twin says.
		h, peer := &hist[dir], &hist[dir.Reverse()]
		n := rng.Int64N(1400)
		seq := h.end + rng.Int64N(1<<31) - 1<<30
		if rng.IntN(2) == 0 {
			seq = h.end + rng.Int64N(1<<20) - 1<<19
		}
		last := h.maxEdge()
		if n == 0 {
			last = max(last, h.end)
		}
		outside := seq > last || seq+n < h.end-h.maxWin()
		probe := tr
		o := probe.Update(tcp(ack, me.isn+uint32(seq), you.isn+uint32(peer.end), 100, int(n)), dir)
		if got := o.Reason() == OutOfWindow; got != outside {
			t.Errorf("blind %v seq %d+%d, end %d, edge %d, window %d: %v, in %+v", dir, seq, n, h.end, h.maxEdge(), h.maxWin(), o.Reason(), tr)
		}
		if t.Failed() {
			return
		}
	}
}
