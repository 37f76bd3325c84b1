package engine

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/pktio"
)

// judge decides every packet of a batch. A panic costs the packet that caused
// it, which is dropped, and its flow; everything else goes on.
func (w *worker) judge(batch []pktio.Packet) {
	for len(batch) > 0 {
		batch = batch[w.judgeSome(batch):]
	}
}

// judgeSome returns how many packets it decided: all, or those up to one that
// made it panic.
func (w *worker) judgeSome(batch []pktio.Packet) (done int) {
	defer func() {
		if v := recover(); v != nil {
			w.failed(v)
			w.giveUp(&batch[done])
			done++
		}
	}()
	for done = range batch {
		w.packet(&batch[done])
		w.packetAnomalies()
	}
	return len(batch)
}

// giveUp drops the packet that made the engine panic and ends its flow. The
// records of it are left out: they may be what failed.
func (w *worker) giveUp(in *pktio.Packet) {
	if w.packets == 0 {
		w.packets = 1
		w.n[cStatelessPackets]++
	}
	if !w.denied {
		w.n[cDropped+int(ReasonPanic)-1] += uint64(w.packets)
	}
	if w.opt.Inline {
		in.Verdict = pktio.Drop
	}
	for i := range w.level { // of datagrams that came out of fragments
		if p := &w.outers[i].pkt; p.Fragment && w.opt.Inline {
			w.fragments.Condemn(p, w.now)
		}
	}
	if w.keyed {
		w.guard(func() {
			if f, _ := w.table.Find(&w.key, w.now); f != nil {
				w.table.End(f, flow.Failed)
			}
		})
	}
}

// guard runs what is no packet's.
func (w *worker) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			w.failed(v)
		}
	}()
	f()
}

// failed counts a panic, and logs the first with its stack.
func (w *worker) failed(v any) {
	w.n[cPanics]++
	if w.panicked {
		return
	}
	w.panicked = true
	w.opt.Logger.Error("a worker panicked and goes on; later panics are only counted (sluice_worker_panics_total)",
		slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
}
