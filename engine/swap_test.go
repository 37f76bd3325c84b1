package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// TestSwapUnderTraffic changes thousands of rules again and again while packets of old and new
// flows run: no packet is dropped, and each swap is in force for the next new flow.
func TestSwapUnderTraffic(t *testing.T) {
	large := func(mark string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "alert udp any any -> any any (content:%q; sid:1;)\n", mark)
		for i := range 3000 {
			fmt.Fprintf(&b, "drop udp any any -> any any (content:\"%s%d/%x\"; sid:%d;)\n", mark, i, i*2654435761, i+2)
		}
		return b.String()
	}
	e, rec, queues, stop := live(t, 1, program(t, ""))
	defer stop()
	send := func(from int) {
		packet := packettest.UDP(fmt.Sprintf("10.0.0.1:%d", from), "10.0.0.2:2", []byte("mark-a mark-b"))
		if got := queues[0].send(packet); got[0].Verdict != pktio.Accept {
			t.Errorf("a packet from port %d was dropped", from)
		}
	}
	flow := 1
	for round := range 6 {
		p := program(t, large([]string{"mark-a", "mark-b"}[round%2]))
		p.Generation = uint32(round + 2)
		swapped := make(chan error)
		go func() { swapped <- e.SetProgram(context.Background(), p) }()
		for done := false; !done; {
			select {
			case err := <-swapped:
				if err != nil {
					t.Fatal(err)
				}
				done = true
			default:
				flow++
				send(flow)
				send(1) // an old flow
			}
		}
		rec.mu.Lock()
		before := len(rec.alerts)
		rec.mu.Unlock()
		flow++
		send(flow)
		rec.mu.Lock()
		if n := len(rec.alerts) - before; n != 1 {
			t.Errorf("round %d: %d alerts of a new flow under the new rules, want 1", round, n)
		}
		rec.mu.Unlock()
	}
}
