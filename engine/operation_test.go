package engine

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// fill makes n UDP flows to port 1000 + i, a second apart.
func (r *rig) fill(n int) {
	for i := range n {
		r.pass(1)
		r.accepts("UDP", packettest.UDP("10.0.0.1:9", "10.0.0.2:"+strconv.Itoa(1000+i), []byte("x")))
	}
}

func TestOperation(t *testing.T) {
	ports := func(list ...string) (all []flow.Filter) {
		for _, p := range list {
			all = append(all, filter(t, "", "", "", p))
		}
		return all
	}
	var twenty []string
	for i := range 20 {
		twenty = append(twenty, strconv.Itoa(1000+2*i))
	}
	for name, test := range map[string]struct {
		op             Operation
		flows, stored  int
		left           int
		gone, survives int // ports
	}{
		"all":           {Operation{Flush: true, Filters: []flow.Filter{{}}, Limit: 100}, 50, 50, 0, 1000, 0},
		"a port":        {Operation{Flush: true, Filters: ports("1003"), Limit: 100}, 1, 1, 49, 1003, 1004},
		"a range":       {Operation{Flush: true, Filters: ports("1003:1005"), Limit: 100}, 3, 3, 47, 1004, 1006},
		"20 filters":    {Operation{Flush: true, Filters: ports(twenty...), Limit: 100}, 20, 20, 30, 1038, 1039},
		"old ones":      {Operation{Flush: true, Filters: []flow.Filter{{}}, MinAge: 40 * time.Second, Limit: 100}, 10, 10, 40, 1009, 1010},
		"limited":       {Operation{Flush: true, Filters: []flow.Filter{{}}, Limit: 7}, 50, 7, 0, 1000, 0},
		"another host":  {Operation{Flush: true, Filters: []flow.Filter{filter(t, "10.0.0.9", "", "", "")}, Limit: 7}, 0, 0, 50, 0, 1000},
		"capture":       {Operation{Filters: ports("1000:1019"), Limit: 100}, 20, 20, 50, 0, 1000},
		"capture, less": {Operation{Filters: ports("1000:1019"), Limit: 5}, 20, 5, 50, 0, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, program(t, ""))
			r.fill(50)
			test.op.ID = "op"
			s := r.run(test.op)
			find := func(port int) bool {
				k := flow.Key{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), SrcPort: 9, DstPort: uint16(port), Proto: packet.ProtoUDP}
				f, _ := r.w.table.Find(&k, r.now)
				return f != nil
			}
			if test.gone != 0 && find(test.gone) || test.survives != 0 && !find(test.survives) {
				t.Error("the very next look-up is wrong")
			}
			r.accepts("a flow that starts later", packettest.UDP("10.0.0.3:9", "10.0.0.2:1000", []byte("x")))
			r.pass(60) // the age counts as of the operation
			r.sweep()
			<-s.done
			stored := 0
			for _, rec := range s.records() {
				stored++
				if rec.Key.Src != addr("10.0.0.1") || rec.Packets != [2]uint64{1, 0} || rec.App != applayer.Failed || rec.State != FlowNew {
					t.Errorf("%+v", rec)
				}
			}
			if s.flows != test.flows || stored != test.stored || r.w.table.Len() != test.left+1 {
				t.Errorf("%d flows, %d stored, %d left", s.flows, stored, r.w.table.Len())
			}
			// The worker writes the records that the result has no room for.
			if want := (test.flows - stored); test.op.Flush && len(r.rec.flows) != want {
				t.Errorf("%d flow records, want %d", len(r.rec.flows), want)
			}
			for _, f := range r.rec.flows {
				if f.Reason != eve.ReasonFlushed || f.OperationID != "op" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// records returns the flows in the result.
func (s *share) records() (all []FlowRecord) {
	for r := range (&OperationResult{flows: []packedFlows{s.packed}}).All {
		all = append(all, *r)
	}
	return all
}

func addr(s string) packet.Addr {
	var p packet.Packet
	p.Decode(packet.LinkRaw, packettest.UDP(s+":1", s+":1", nil), packet.Options{})
	return p.Src
}

// TestRecordOfFlow compares all that a capture tells of one flow.
func TestRecordOfFlow(t *testing.T) {
	r := newRig(t, program(t, `alert tcp any any -> any any (flow:not_established; sid:1;)
pass tls any any -> any any (tls.sni; content:"example.com"; sid:2;)`, generation(7)))
	c := newConn("1")
	r.open(c)
	r.pass(2)
	text := hello(t, "example.com")
	r.accepts("hello", c.c2s(data, text))
	s := r.run(Operation{Filters: []flow.Filter{{}}, Limit: 1})
	r.sweep()
	got := s.records()[0]
	got.tcpFlags, got.ttl = [2]uint8{}, [2]ttlRange{}
	want := FlowRecord{
		Key:   flow.Key{Src: addr("10.0.0.1"), Dst: addr("192.0.2.1"), SrcPort: 1, DstPort: 443, Proto: 6},
		First: r.now - sec(2), Last: r.now, Packets: [2]uint64{3, 1}, Bytes: [2]uint64{120 + uint64(len(text)), 40},
		State: FlowEstablished, TCPState: stream.StateEstablished, App: applayer.TLS, Alerted: true, Action: detect.Pass,
	}
	want.protos.setSide(packet.ToServer, applayer.TLS)
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	p := r.run(Operation{Filters: []flow.Filter{{}}, Page: &Page{Size: 1}})
	r.sweep()
	if f := p.page.flows[0]; f.Name != "example.com" || f.Generation != 7 || f.ID != got.Key.ID(got.First) {
		t.Errorf("a page tells %+v", f)
	}
}

// TestIdlersAreNotFlushed: what timed out before the flush was gone already, and
// closed flows are left alone.
func TestIdlersAreNotFlushed(t *testing.T) {
	r := newRig(t, program(t, ""))
	c := newConn("1")
	r.open(c)
	r.accepts("reset", c.c2s(rst, ""))
	idle := newConn("2")
	r.accepts("SYN", idle.syn())
	r.w.now = r.now
	s := r.run(Operation{Flush: true, Filters: []flow.Filter{{}}, Limit: 9})
	r.sweep()
	if s.flows != 1 {
		t.Errorf("%d flows flushed, want the half-open one", s.flows)
	}
	r.accepts("SYN", idle.syn())
	r.pass(61)
	s = r.run(Operation{Flush: true, Filters: []flow.Filter{{}}, Limit: 9})
	r.sweep()
	if s.flows != 0 {
		t.Errorf("%d flows flushed that had timed out", s.flows)
	}
}

func TestFlushIDsAreRemembered(t *testing.T) {
	r := newRig(t, program(t, ""))
	for i := range rememberedFlushes + 1 {
		r.run(Operation{ID: fmt.Sprint(i), Flush: true})
		r.sweep()
	}
	if first, second, last := r.w.flushOf(1).id, r.w.flushOf(2).id, r.w.flushOf(rememberedFlushes+1).id; first != "" || second != "1" || last != fmt.Sprint(rememberedFlushes) {
		t.Errorf("%q %q %q", first, second, last)
	}
}

// TestPrograms: flows keep the rules that admitted them; everything else of a
// new program acts at once.
func TestPrograms(t *testing.T) {
	r := newRig(t, program(t, "alert udp any any -> any any (sid:1;)"))
	old, fresh := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil), packettest.UDP("10.0.0.1:3", "10.0.0.2:2", nil)
	r.accepts("old", old)
	r.w.setProgram(program(t, "drop udp any any -> any any (sid:1;)", generation(2)))
	r.accepts("the old flow keeps its rules", old)
	r.drops("a new one has the new", fresh)
	r.w.setProgram(program(t, "", generation(3), dropDefault(detect.Strict)))
	r.drops("the new default action acts on the old flow", old)
	if n := r.w.table.Len(); n != 2 {
		t.Fatal(n)
	}
}

func TestGenerations(t *testing.T) {
	r := newRig(t, program(t, ""))
	live := func() (n int) {
		for _, p := range r.w.programs {
			if p.program != nil {
				n++
			}
		}
		return n
	}
	for g := range uint32(maxGenerations + 4) {
		r.w.setProgram(program(t, "", generation(g+1)))
		r.accepts("a flow of this generation", packettest.UDP("10.0.0.1:1", "10.0.0.2:"+fmt.Sprint(g+1), nil))
	}
	// Four generations too many: flows of the oldest five are on the fifth's rules.
	r.counter(cRepinned, 1+2+3+4)
	flows := 0
	for f := range r.w.table.All {
		want := max(uint32(f.Key.DstPort), 5)
		if got := r.w.programs[f.State.slot()].program.Generation; got != want {
			t.Errorf("the flow of generation %d is on the rules of %d", f.Key.DstPort, got)
		}
	}
	for _, p := range r.w.programs {
		flows += p.flows
	}
	if flows != maxGenerations+4 || live() != maxGenerations {
		t.Errorf("%d flows pinned, %d programs alive", flows, live())
	}
	r.pass(1000)
	r.sweep()
	if live() != 1 {
		t.Errorf("%d programs are alive without flows", live())
	}
	r.w.setProgram(program(t, "", generation(99)))
	if live() != 1 || r.w.programs[r.w.current].program.Generation != 99 {
		t.Error("the new program did not take the place of the old one")
	}
}

// live starts an engine with n queues; stop ends it.
func live(t testing.TB, n int, p *detect.Program) (e *Engine, rec *recorder, queues []*queue, stop func()) {
	rec = &recorder{}
	opt := options(rec)
	opt.PacketClock = false
	e = New(opt)
	var list []pktio.Queue
	for range n {
		q := newQueue()
		queues, list = append(queues, q), append(list, q)
	}
	if p != nil {
		if err := e.SetProgram(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	e.Attach(list)
	return e, rec, queues, func() {
		for _, q := range queues {
			q.Close()
		}
		e.Wait()
	}
}

// send gives packets to the queue's worker and waits for their verdicts.
func (q *queue) send(packets ...[]byte) []pktio.Packet {
	var batch []pktio.Packet
	for _, p := range packets {
		batch = append(batch, pktio.Packet{Data: p, Link: packet.LinkRaw})
	}
	q.in <- batch
	return <-q.out
}

// TestOperationEndpoints: an operation reaches the flows of the queues that are
// attached to its endpoints, and leaves the same flows of others alone.
func TestOperationEndpoints(t *testing.T) {
	for name, test := range map[string]struct {
		endpoints []string
		chosen    [4]bool // queues whose flow is
	}{
		"all":             {nil, [4]bool{true, true, true, true}},
		"primary":         {[]string{"vpce-1", ""}, [4]bool{0: true, 1: true}},
		"by one name":     {[]string{"a", "arn:a"}, [4]bool{2: true}},
		"by another name": {[]string{"b", "vpce-b"}, [4]bool{3: true}},
		"nobody's":        {[]string{"c"}, [4]bool{}},
		"none":            {[]string{}, [4]bool{}},
	} {
		t.Run(name, func(t *testing.T) {
			e, _, queues, stop := live(t, 2, program(t, ""))
			for _, endpoint := range []string{"a", "vpce-b"} {
				q := newQueue()
				e.AttachEndpoint(endpoint, []pktio.Queue{q})
				queues = append(queues, q)
			}
			defer func() { queues[2].Close(); queues[3].Close(); stop() }()
			run := func(op Operation) *OperationResult {
				op.Filters, op.Limit = []flow.Filter{{}}, 9
				res, err := e.Run(t.Context(), op)
				if err != nil {
					t.Fatal(err)
				}
				return res
			}
			want, packets := 0, [4]uint64{2, 2, 2, 2}
			for i, q := range queues {
				q.send(packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil))
				if test.chosen[i] {
					want, packets[i] = want+1, 1 // a fresh flow
				}
			}
			for _, flush := range []bool{false, true} {
				if res := run(Operation{ID: "op", Flush: flush, Endpoints: test.endpoints}); res.Flows != want || res.Stored != want {
					t.Errorf("flush %v chose %d flows, want %d", flush, res.Flows, want)
				}
			}
			for _, q := range queues {
				q.send(packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil))
			}
			var got [4]uint64
			i := 0
			for f := range run(Operation{}).All { // one of each worker, in order
				got[i] = f.Packets[packet.ToServer]
				i++
			}
			if got != packets {
				t.Errorf("after the flush the flows of the queues have %v packets, want %v", got, packets)
			}
		})
	}
}

func TestEngine(t *testing.T) {
	e, rec, queues, stop := live(t, 3, program(t, ""))
	for i, q := range queues {
		got := q.send(packettest.UDP("10.0.0.1:1", "10.0.0.2:"+fmt.Sprint(i+1), nil), packettest.UDP("10.0.0.1:2", "10.0.0.2:"+fmt.Sprint(i+1), nil))
		if len(got) != 2 || got[0].Verdict != pktio.Accept || got[1].Verdict != pktio.Accept {
			t.Errorf("verdicts %+v", got)
		}
	}
	before := time.Now()
	res, err := e.Run(t.Context(), Operation{ID: "c", Filters: []flow.Filter{{}}, Limit: 4})
	if err != nil || res.Flows != 6 || res.Stored != 4 || res.TakenUp.Before(before) || res.Swept.Before(res.TakenUp) {
		t.Errorf("capture: %+v, %v", res, err)
	}
	res, err = e.Run(t.Context(), Operation{ID: "f", Flush: true, Filters: []flow.Filter{filter(t, "", "", "1", "")}, Limit: 100})
	if err != nil || res.Flows != 3 || res.Stored != 3 {
		t.Errorf("flush: %+v, %v", res, err)
	}
	if len(rec.flows) != 3 || rec.flows[0].Reason != eve.ReasonFlushed || rec.flows[0].OperationID != "f" {
		t.Errorf("records %+v", rec.flows)
	}
	if err := e.SetProgram(t.Context(), program(t, "drop udp any any -> any any (sid:1;)", generation(2))); err != nil {
		t.Fatal(err)
	}
	if got := queues[1].send(packettest.UDP("10.0.0.1:9", "10.0.0.2:2", nil)); got[0].Verdict != pktio.Drop {
		t.Error("the new program is not in force")
	}
	stop()
	if len(rec.flows) != 7 || rec.flows[6].Reason != eve.ReasonShutdown {
		t.Errorf("%d flow records, the last %+v", len(rec.flows), rec.flows[len(rec.flows)-1])
	}
	if res, err := e.Run(t.Context(), Operation{Flush: true, Filters: []flow.Filter{{}}}); err != nil || res.Flows != 0 {
		t.Errorf("after the end: %+v, %v", res, err)
	}
	if err := e.SetProgram(t.Context(), program(t, "")); err != nil {
		t.Error(err)
	}
	if e.Flows() != 0 {
		t.Errorf("%d flows", e.Flows())
	}
}

func TestEngineWithoutWorkers(t *testing.T) {
	e := New(options(&recorder{}))
	res, err := e.Run(t.Context(), Operation{Flush: true, Filters: []flow.Filter{{}}, Limit: 1})
	if err != nil || res.Flows != 0 || res.TakenUp.IsZero() || res.Swept.IsZero() {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestOperationMeetsTheEnd: an operation on a worker that stops says so, and does not hang.
func TestOperationMeetsTheEnd(t *testing.T) {
	rec := &recorder{}
	opt := options(rec)
	e := New(opt)
	w := newWorker(&e.opt, newQueue(), rec) // not running yet: what it gets waits
	w.setProgram(program(t, ""))
	for i := range 10 {
		batch := []pktio.Packet{offloaded(packettest.UDP("10.0.0.1:1", "10.0.0.2:"+strconv.Itoa(1+i), nil))}
		w.judge(batch)
	}
	e.workers = []*worker{w}
	done := make(chan error)
	go func() {
		_, err := e.Run(context.Background(), Operation{Flush: true, Filters: []flow.Filter{{}}})
		done <- err
	}()
	for len(w.mail) == 0 {
		time.Sleep(time.Millisecond) // nothing tells that the mail has come
	}
	w.finish()
	if err := <-done; err == nil {
		t.Error("the operation is reported complete")
	}
	if len(rec.flows) != 10 {
		t.Errorf("%d flow records", len(rec.flows))
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.workers = []*worker{newWorker(&e.opt, newQueue(), rec)}
	if _, err := e.Run(ctx, Operation{Flush: true}); err == nil {
		t.Error("no error of an operation whose context ended")
	}
	if err := e.SetProgram(ctx, program(t, "")); err == nil {
		t.Error("no error of a program whose context ended")
	}
}

// TestAtOnce runs packets, programs and operations together, for the race detector.
func TestAtOnce(t *testing.T) {
	e, _, queues, stop := live(t, 2, program(t, ""))
	var packets, others sync.WaitGroup
	end := make(chan struct{})
	for _, q := range queues {
		packets.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				c := newConn(fmt.Sprint(i%100 + 1))
				q.send(c.syn(), c.s2c(synAck, ""), c.c2s(ack, ""), c.c2s(data, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"))
			}
		})
	}
	for i := range 3 {
		others.Go(func() {
			for n := range 30 {
				if i == 0 {
					p := program(t, `pass http any any -> any any (http.host; content:"a.example"; sid:1;)`, generation(uint32(n+2)))
					if err := e.SetProgram(t.Context(), p); err != nil {
						t.Error(err)
					}
				} else if _, err := e.Run(t.Context(), Operation{Flush: i == 1, Filters: []flow.Filter{{}}, Limit: 50}); err != nil {
					t.Error(err)
				}
				e.Flows()
			}
		})
	}
	others.Wait()
	close(end)
	packets.Wait()
	stop()
	sums := e.opt.Counters.Sums("", "fw", "z")
	var ended uint64
	for r := range flow.NumReasons {
		ended += sums[cEnded+int(r)]
	}
	if sums[cFlows] == 0 || sums[cFlows] != ended {
		t.Errorf("%d flows began, %d ended", sums[cFlows], ended)
	}
}
