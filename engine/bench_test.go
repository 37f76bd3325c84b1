//go:build linux

package engine

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// bare is a worker with n TCP flows, two thirds of them to port 443.
func bare(t testing.TB, n int) *worker {
	opt := options(&nobody{})
	opt.FlowLimit, opt.VerifyChecksums = n, false
	e := New(opt)
	w := newWorker(&e.opt, newQueue(), &nobody{})
	w.now = sec(1000)
	w.setProgram(program(t, ""))
	ip := packettest.TCP("10.0.0.1:1000", "192.0.2.1:443", syn, 1000, 0, nil)
	batch := []pktio.Packet{{Data: ip, Link: packet.LinkRaw, Time: w.now}}
	for i := range n {
		binary.BigEndian.PutUint32(ip[12:], 10<<24|uint32(i/1000))
		binary.BigEndian.PutUint16(ip[20:], uint16(1000+i%1000))
		port := uint16(443)
		if i%3 == 0 {
			port = 80
		}
		binary.BigEndian.PutUint16(ip[22:], port)
		w.judge(batch)
	}
	return w
}

// threadTime is the processor time that this thread has had: what an operation
// takes of a core, also on a machine that is busy with something else.
func threadTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOperation is the work of an operation that chooses 667k of 1M flows,
// without packets in between.
func BenchmarkOperation(b *testing.B) {
	const flows = 1_000_000
	for _, flush := range []bool{false, true} {
		b.Run(fmt.Sprintf("flush=%v", flush), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var spent time.Duration
			for b.Loop() {
				b.StopTimer()
				w := bare(b, flows)
				var limit atomic.Int64
				limit.Store(flows)
				s := newShare(&Operation{Flush: flush, Filters: []flow.Filter{filter(b, "", "", "", "443", "6")}}, 1, &limit)
				before := threadTime(b)
				b.StartTimer()
				w.take(s)
				for w.table.Sweeping() {
					w.sweep()
				}
				spent += threadTime(b) - before
				if want := flows - (flows+2)/3; s.flows != want {
					b.Fatalf("%d flows, want %d", s.flows, want)
				}
			}
			b.ReportMetric(float64(spent.Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}
