package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/sluicefw/sluice/engine/packet"
)

const (
	c2s = packet.ToServer
	s2c = packet.ToClient

	// The first numbers of the two sides. The client's wrap soon.
	clientISN packet.Seq = 0xffffffff - 50
	serverISN packet.Seq = 5000
)

func TestTrackerIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Tracker{}); n > 48 {
		t.Errorf("a Tracker takes %d bytes, at most 48 wanted", n)
	}
}

func newEnv() *Env { return &Env{Policies: &Policies{}, Handshakes: NewHandshakes()} }

// parse makes a packet of "c PA 1/1 +10 w100 t7,5 scale3 tfo": the side that sends it, its
// flags, sequence number and ACK, both counted from the first ones, then its bytes of payload,
// window (1000 if not given), timestamps and options.
func parse(t testing.TB, text string) (*packet.Packet, packet.Dir) {
	t.Helper()
	fields := strings.Fields(text)
	dir, mine, other := c2s, clientISN, serverISN
	if fields[0] == "s" {
		dir, mine, other = s2c, serverISN, clientISN
	}
	p := &packet.Packet{Proto: packet.ProtoTCP, L4: make([]byte, 20), TCP: packet.TCP{Window: 1000}}
	h := &p.TCP
	for _, letter := range fields[1] {
		h.Flags |= 1 << strings.IndexRune("FSRPAU", letter)
	}
	var seq, ack int
	scan := func(format, text string, to ...any) {
		t.Helper()
		if _, err := fmt.Sscanf(text, format, to...); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	scan("%d/%d", fields[2], &seq, &ack)
	h.Seq, h.Ack = uint32(mine.Add(seq)), uint32(other.Add(ack))
	if h.Flags&packet.ACK == 0 {
		h.Ack = 0
	}
	for _, f := range fields[3:] {
		switch f[:1] {
		case "+":
			var n int
			scan("+%d", f, &n)
			p.Payload = make([]byte, n)
		case "w":
			scan("w%d", f, &h.Window)
		case "s":
			scan("scale%d", f, &h.WScale)
			h.HasWScale = true
		case "t":
			if h.FastOpen = f == "tfo"; !h.FastOpen {
				scan("t%d,%d", f, &h.TSVal, &h.TSEcr)
				h.HasTS = true
			}
		default:
			t.Fatalf("%q", text)
		}
	}
	return p, dir
}

// names are the events of a packet, without what they all begin with.
func names(p *packet.Packet) string {
	var all []string
	for _, e := range p.Events.All() {
		all = append(all, strings.TrimPrefix(e.String(), "stream."))
	}
	return strings.Join(all, " ")
}

const (
	opening     = "c S 0/0; s SA 0/1; c A 1/1"
	established = opening + " > established"
)

// scripts are packets, each with the state that it leads to, if that is another one, and its
// events: "packet > state ! events".
var scripts = map[string]string{
	"client closes first":    established + "; c PA 1/1 +100; s PA 1/101 +200; c FA 101/201 > close_wait; s A 201/102; s FA 201/102 > last_ack; c A 102/202 > closed",
	"server closes first":    established + "; s FA 1/1 +10 > fin_wait1; c A 1/12 > fin_wait2; c FA 1/12 > time_wait; s A 12/2 > closed",
	"both close at once":     established + "; s FA 1/1 > fin_wait1; c F 1/0 > closing; c A 1/2 > time_wait; c A 2/2 > closed",
	"FIN and its ACK in one": established + "; s FA 1/1 > fin_wait1; c FA 1/2 > time_wait",
	"FIN again":              established + "; s FA 1/1 > fin_wait1; s FA 1/1; c A 1/2 > fin_wait2; c FA 1/2 > time_wait; c FA 1/2",
	"FIN out of window":      established + "; c FA 1002/1 ! fin_out_of_window; c FA 0/1 ! fin_out_of_window; c FA 1/1002 ! pkt_invalid_ack fin_invalid_ack; c SFA 1/1 ! fin_syn",
	"after a FIN": established + "; c FA 1/1 > close_wait; c PA 1500/1 +1 ! closewait_ack_out_of_window; s PA 1/2 +10; c A 2/11; s PA 1/2 +10 ! pkt_spurious_retransmission pkt_retransmission closewait_pkt_before_last_ack;" +
		"c S 50/0 ! shutdown_syn_resend; s FA 0/2 ! closewait_fin_out_of_window; s FA 11/2000 ! pkt_invalid_ack closewait_invalid_ack",
	"the last ACK":                         established + "; c FA 1/1 > close_wait; s FA 1/2 > last_ack; c A 9/2 ! lastack_ack_wrong_seq; c A 2/3000 ! pkt_invalid_ack lastack_invalid_ack; c FA 2/2; c A 2/2 > closed",
	"in FIN_WAIT_1":                        established + "; s FA 1/1 > fin_wait1; c PA 1/1 +1001 ! fin1_ack_wrong_seq; c A 1/5000 ! pkt_invalid_ack fin1_invalid_ack; c FA 1002/2 ! fin1_fin_wrong_seq",
	"in FIN_WAIT_2":                        established + "; s FA 1/1 > fin_wait1; c A 1/2 > fin_wait2; c PA 1/2 +1001 ! fin2_ack_wrong_seq; c A 1/5000 ! pkt_invalid_ack fin2_invalid_ack; c FA 1002/2 ! fin2_fin_wrong_seq",
	"in TIME_WAIT":                         established + "; s FA 1/1 > fin_wait1; c FA 1/2 > time_wait; s A 9/2 ! timewait_ack_wrong_seq; s A 2/5000 ! pkt_invalid_ack timewait_invalid_ack; c S 90/0 ! shutdown_syn_resend",
	"in CLOSING":                           established + "; s FA 1/1 > fin_wait1; c F 1/0 > closing; c A 3/2 ! closing_ack_wrong_seq; c A 1/5000 ! pkt_invalid_ack closing_invalid_ack; c A 1/2 > time_wait",
	"SYN again":                            "c S 0/0 > syn_sent; c S 0/0; s SA 0/2 ! 3whs_synack_with_wrong_ack; s SA 0/1 > syn_recv; c S 0/0; c S 5/0 ! 3whs_syn_resend_diff_seq_on_syn_recv; s S 0/0 ! 3whs_syn_toclient_on_syn_recv; s SA 0/1; s SA 0/9 ! 3whs_synack_resend_with_diff_ack; c SA 1/1 ! 3whs_synack_toserver_on_syn_recv",
	"SYN later":                            established + "; c S 0/0 ! est_syn_resend; c S 7/0 ! est_syn_resend_diff_seq; s S 0/0 ! est_syn_toclient; s SA 0/1; s SA 0/5 ! est_synack_resend_with_diff_ack; s SA 5/1 ! est_synack_resend_with_diff_seq; c SA 1/1 ! est_synack_toserver; s PA 1/1 +5; s SA 0/1 ! est_synack_resend",
	"wrong last step":                      "c S 0/0; s SA 0/1; c A 1/9 ! 3whs_right_seq_wrong_ack_evasion; c A 1500/1 ! 3whs_wrong_seq_wrong_ack; c A 9/1 > established",
	"no answer at all":                     "c S 0/0; c SA 0/0 ! 3whs_synack_in_wrong_direction; c R 9/0; c FA 1/1 > syn_sent",
	"split handshake":                      "c S 0/0; s S 0/0; c SA 0/9 ! 4whs_synack_with_wrong_ack; c SA 5/1 ! 4whs_synack_with_wrong_syn; c SA 0/1 > syn_recv; s A 9/1 ! 4whs_wrong_seq; s A 1/5000 ! pkt_invalid_ack 4whs_invalid_ack; s A 1/1 > established",
	"fast open":                            "c S 0/0 +10 tfo; s SA 0/11; c A 11/1 > established",
	"fast open, its data not taken":        "c S 0/0 +10 tfo; s SA 0/1 ! 3whs_synack_tfo_data_ignored; c PA 1/1 +10 > established",
	"fast open, data before the last step": "c S 0/0 +10 tfo; s SA 0/11; s PA 1/11 +20 > established; c A 11/21",
	"many answers":                         "c S 0/0; s SA 0/1; s SA 100/1; s SA 200/1; s SA 300/1; s SA 400/1; s SA 500/1; s SA 600/1 ! 3whs_synack_flood; c A 1/301 > established; s PA 301/1 +5",
	"many SYNs": "c S 0/0 t1,0; c S 0/0 t2,0; c S 0/0 t3,0; c S 0/0 t4,0; c S 0/0 t5,0; c S 0/0 t6,0; c S 0/0 t7,0; c S 0/0 t8,0; c S 0/0 t9,0; c S 0/0 t10,0; c S 0/0 t11,0; c S 0/0 t12,0 ! 3whs_syn_flood;" +
		"s SA 0/1 t50,12 ! pkt_invalid_timestamp; s SA 0/1 t50,7 > syn_recv; c A 1/1 t6,50; c A 1/1 t4,50 ! pkt_invalid_timestamp",
	"timestamps":                     "c S 0/0 t100,0; s SA 0/1 t50,99 ! pkt_invalid_timestamp; s SA 0/1 t50,100; c A 1/1 t101,50 > established; c PA 1/1 +5 t99,50 ! pkt_invalid_timestamp; c PA 1/1 +5 t100,50; c FA 6/1 t1,50 ! pkt_invalid_timestamp; c R 6/0 t1,50 ! pkt_invalid_timestamp",
	"only one side with timestamps":  "c S 0/0 t100,0; s SA 0/1; c A 1/1 t7,0 > established",
	"resets":                         established + "; s PA 1/1 +100; c A 1/101; s R 100/0; s R 102/0; s RA 101/2000 ! pkt_invalid_ack rst_invalid_ack; s R 101/0 +5 > closed ! rst_with_data",
	"refused":                        "c S 0/0; s R 0/0; c R 5/0 > syn_sent",
	"reset in SYN_RECV":              "c S 0/0; s SA 0/1 > syn_recv; c R 1/0 > closed; c A 1/1",
	"windows":                        established + "; c PA 1/1 +1000; c PA 1001/1 +1 ! est_packet_out_of_window; s A 1/1001; c PA 1001/1 +10; c PA 1/1 +10 ! pkt_spurious_retransmission est_pkt_before_last_ack; c A 1011/1002 ! pkt_invalid_ack est_invalid_ack",
	"scaled windows":                 "c S 0/0 scale3; s SA 0/1 scale2; c A 1/1 w10 > established; s PA 1/1 +80 w100; s PA 81/1 +1 ! est_packet_out_of_window; c PA 1/81 +400",
	"keep-alive":                     established + "; s PA 1/1 +5; c A 1/6; c A 0/6; s A 6/1; s A 5/1 +1; c A 1/6",
	"zero window probe":              established + "; s A 1/1 w0; c PA 1/1 +1; s A 1/1 w0; s A 1/2 w0 ! est_ack_zwp_data",
	"bad window update":              established + "; s A 9/9 w1 ! pkt_bad_window_update; s A 9/9 w1 +999 ! est_packet_out_of_window",
	"an ACK without the flag":        established + "; c P 1/0 +3",
	"the client's last step is lost": "c S 0/0; s SA 0/1; s PA 1/1 +10 > established; c A 1/11",
}

func TestTracker(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			var tr Tracker
			env := newEnv()
			for _, step := range strings.Split(script, ";") {
				run(t, &tr, env, strings.TrimSpace(step))
			}
			if tr.Release(env); len(env.Handshakes.open) > 0 {
				t.Error("something is kept of it")
			}
		})
	}
}

// run takes a step of a script.
func run(t *testing.T, tr *Tracker, env *Env, step string) Outcome {
	t.Helper()
	text, events, _ := strings.Cut(step, "!")
	text, state, _ := strings.Cut(text, ">")
	p, dir := parse(t, text)
	o := tr.Update(p, dir, env, nil)
	if got := names(p); got != strings.TrimSpace(events) {
		t.Errorf("%s: events %q", step, got)
	}
	if state = strings.TrimSpace(state); state != "" && tr.String() != state {
		t.Errorf("%s: state %v", step, tr)
	}
	return o
}

// TestInline: who can drop need not accept what may have been injected.
func TestInline(t *testing.T) {
	env := newEnv()
	env.Inline = true
	var tr Tracker
	for _, step := range []string{"c S 0/0", "s SA 0/1", "s PA 1/1 +10 ! 3whs_ack_data_inject", "s A 1/1 ! 3whs_ack_in_wrong_dir"} {
		if o := run(t, &tr, env, step); o.Has(Invalid) != strings.Contains(step, "!") {
			t.Errorf("%s: %b", step, o)
		}
	}
	run(t, &tr, env, "c A 1/1 > established")
	// A forged segment does not keep the connection from closing.
	run(t, &tr, env, "s PA 100000/1 +10 ! est_packet_out_of_window")
	run(t, &tr, env, "c FA 1/1 > close_wait")
	run(t, &tr, env, "s FA 1/2 > last_ack")
}

func TestMidstream(t *testing.T) {
	off, on := newEnv(), newEnv()
	on.Midstream = true
	for _, test := range []struct {
		first string
		state State
		rest  string
	}{
		{"c PA 1/1 +10", StateEstablished, "s A 1/11; c PA 11/1 +60000; s PA 1/11 +60000; c A 60011/60001; s FA 60001/60011 > fin_wait1"},
		{"s PA 1/1 +10", StateEstablished, "c A 1/11; s PA 11/1 +60000; c PA 1/11 +60000; s A 60011/60001; c FA 60001/60011 > close_wait"},
		{"c FA 1/1 +5", StateFinWait1, "s A 1/6"},
		{"c FA 1/1", StateNone, ""},
		{"c R 1/0", StateNone, ""},
		{"c P 1/0 +5", StateNone, "c PA 6/1 +5 > established"},
	} {
		var tr Tracker
		p, dir := parse(t, test.first)
		if o := tr.Update(p, dir, off, nil); !o.Has(Unknown) || tr.Tracked() {
			t.Errorf("%s: picked up", test.first)
		}
		p, dir = parse(t, test.first)
		if tr.Update(p, dir, on, nil); tr.State() != test.state || tr.Midstream() != (test.state != StateNone) {
			t.Errorf("%s: %v", test.first, &tr)
		}
		for _, step := range strings.Split(test.rest, ";") {
			if step != "" {
				run(t, &tr, on, strings.TrimSpace(step))
			}
		}
	}
	var tr Tracker
	run(t, &tr, on, "s SA 0/1 scale2 > syn_recv")
	run(t, &tr, on, "c A 1/1 > established")
}

func TestOneSided(t *testing.T) {
	env := newEnv()
	env.AsyncOneSide = true
	var tr Tracker
	for _, step := range []string{"c S 0/0", "c A 9/1 ! 3whs_async_wrong_seq", "c A 1/1 > established", "c PA 1/1 +30000", "c PA 30001/50000 +30000", "c R 60001/0 > closed"} {
		run(t, &tr, env, step)
	}
}

// TestReset: what a reset injected by somebody else leaves behind.
func TestSuspectedReset(t *testing.T) {
	var tr Tracker
	env := newEnv()
	run(t, &tr, env, "c S 0/0")
	p, dir := parse(t, "s RA 0/1")
	p.TCP.Seq = 0 // of a host that knows of no connection (RFC 9293, 3.10.7.1)
	if tr.Update(p, dir, env, nil); tr.State() != StateClosed {
		t.Fatalf("refused: %v", &tr)
	}
	run(t, &tr, env, "c S 0/0 > closed")
	run(t, &tr, env, "s SA 0/1 > syn_recv ! suspected_rst_inject")
	run(t, &tr, env, "c A 1/1 > established")
}

func TestReuses(t *testing.T) {
	env := newEnv()
	for _, test := range []struct {
		script, next string
		want         bool
	}{
		{opening, "c S 900/0", false},
		{opening + "; c R 1/0", "c S 900/0", true},
		{opening + "; c R 1/0", "s S 900/0", true},
		{opening + "; c R 1/0", "c S 0/0", false},
		{opening + "; c R 1/0", "s SA 900/1", false},
		{opening + "; c FA 1/1", "c S 900/0", true},
		{opening + "; s FA 1/1; c FA 1/2", "c S 900/0", false},
		{"", "c S 900/0", true},
		{"", "c A 900/0", false},
	} {
		var tr Tracker
		for _, step := range strings.Split(test.script, ";") {
			if step != "" {
				run(t, &tr, env, strings.TrimSpace(step))
			}
		}
		p, dir := parse(t, test.next)
		if got := tr.Reuses(p, dir, env); got != test.want {
			t.Errorf("%s, then %s: %v", test.script, test.next, got)
		}
	}
}

// TestPolicies: systems differ in the resets that they take.
func TestResetPolicies(t *testing.T) {
	for policy, want := range map[Policy][3]bool{
		Windows: {false, true, false}, BSD: {false, true, false}, Linux: {false, true, true}, Solaris: {false, true, true}, HPUX11: {false, true, true},
	} {
		for i, seq := range []int{49, 101, 200} {
			env := newEnv()
			env.Policies.Default = policy
			var tr Tracker
			for _, step := range []string{"c S 0/0", "s SA 0/1", "c A 1/1", "s PA 1/1 +100", "c A 1/51"} {
				run(t, &tr, env, step)
			}
			p, dir := parse(t, fmt.Sprintf("s R %d/0", seq))
			if tr.Update(p, dir, env, nil); (tr.State() == StateClosed) != want[i] {
				t.Errorf("%v, number %d: %v", policy, seq, &tr)
			}
		}
	}
}

func TestHandshakesAreBounded(t *testing.T) {
	env := newEnv()
	trackers := make([]Tracker, maxHandshakes+1)
	for i := range trackers {
		p, dir := parse(t, "c S 0/0")
		trackers[i].Update(p, dir, env, nil)
		p, dir = parse(t, "c S 0/0 t7,0")
		o := trackers[i].Update(p, dir, env, nil)
		if full := i == maxHandshakes; o.Has(Invalid) != full {
			t.Fatalf("connection %d: %b", i, o)
		}
	}
	trackers[0].Release(env)
	p, dir := parse(t, "c S 0/0 t7,0")
	if o := trackers[maxHandshakes].Update(p, dir, env, nil); o.Has(Invalid) {
		t.Error("what was given back is not used again")
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reasons {
		name := Reason(r).String()
		if name == "" || name == "unknown" || seen[name] || strings.Contains(name, ".") {
			t.Errorf("reason %d: %q", r, name)
		}
		seen[name] = true
	}
	if got := reasonOf(packet.StreamEstInvalidACK).String(); got != "est_invalid_ack" {
		t.Error(got)
	}
}

// FuzzTracker plays any packets, four bytes each and six of numbers, on connections of
// every kind.
func FuzzTracker(f *testing.F) {
	f.Add([]byte("\x00\x02\x00\x00\x00\x00\x00\x00\x01\x12\x00\x00\x00\x01\x00\x00"), uint8(0))
	f.Add(slices.Repeat([]byte{1, 0x11, 3, 0, 1, 0, 1, 9}, 9), uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		env := newEnv()
		env.Inline, env.Midstream, env.AsyncOneSide = kind&1 != 0, kind&2 != 0, kind&4 != 0
		env.Policies.Default = Policy(kind>>3) % NumPolicies
		var tr Tracker
		for ; len(data) >= 8; data = data[8:] {
			dir := packet.Dir(data[0] & 1)
			mine, other := clientISN, serverISN
			if dir == s2c {
				mine, other = other, mine
			}
			p := &packet.Packet{Proto: packet.ProtoTCP, L4: make([]byte, 20), Payload: make([]byte, data[2]&31), TCP: packet.TCP{
				Flags: data[1], Seq: uint32(mine.Add(int(int8(data[3])) << (data[0] >> 4))), Ack: uint32(other.Add(int(int8(data[5])))),
				Window: uint16(data[6]), HasTS: data[0]&2 != 0, TSVal: uint32(data[7]), TSEcr: uint32(data[4]),
				HasWScale: data[0]&4 != 0, WScale: data[7] & 15, FastOpen: data[0]&8 != 0,
			}}
			if tr.Reuses(p, dir, env) {
				tr.Release(env)
				tr = Tracker{}
			}
			before := tr.State()
			o := tr.Update(p, dir, env, nil)
			if o.Has(StateChanged) != (tr.State() != before) || o.Has(Invalid) != (o.Reason() != Valid) {
				t.Fatalf("%b, %v after %v", o, tr.State(), before)
			}
			if tr.State() > StateClosed || len(env.Handshakes.open) > 1 {
				t.Fatalf("%+v", tr)
			}
		}
		if tr.Release(env); len(env.Handshakes.open) > 0 {
			t.Fatal("something is kept of it")
		}
	})
}
