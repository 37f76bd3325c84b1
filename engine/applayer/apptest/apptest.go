// Package apptest drives parsers of application protocols in their tests.
package apptest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Turn is what one side sends before the other speaks.
type Turn struct {
	Dir  packet.Dir
	Data string
}

// C and S are turns of client and server.
func C(data string) Turn { return Turn{packet.ToServer, data} }
func S(data string) Turn { return Turn{packet.ToClient, data} }

// Follow gives the turns to a parser in pieces of at most step bytes, over UDP as one datagram
// each, tells it of the end, and returns a line for each event, with the buffers and numbers of
// its transaction.
func Follow(t testing.TB, p applayer.Parser, transport uint8, step int, turns ...Turn) string {
	t.Helper()
	var log bytes.Buffer
	var out applayer.Sink
	var held [2][]byte
	p.Reset(transport)
	for _, tn := range turns {
		data := []byte(tn.Data)
		if transport == packet.ProtoUDP {
			p.Data(&out, tn.Dir, data)
			note(&log, &out)
			p.Release()
			continue
		}
		for len(data) > 0 && !p.Done() {
			k := min(step, len(data))
			h := append(held[tn.Dir], data[:k]...)
			data = data[k:]
			for len(h) > 0 && !p.Done() {
				n := p.Data(&out, tn.Dir, h)
				if n < 0 || n > len(h) {
					t.Fatalf("%d of %d bytes consumed", n, len(h))
				}
				h = h[n:]
				note(&log, &out)
				if n == 0 {
					break
				}
			}
			held[tn.Dir] = h
			if len(h) > applayer.MaxUnconsumed {
				t.Fatalf("%d bytes left", len(h))
			}
		}
	}
	for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
		p.End(&out, dir)
		note(&log, &out)
	}
	p.Release()
	return log.String()
}

// Transactions gives the turns to a parser, over TCP and each at once, and returns the
// transactions of type T as they were when they were done. It fails if bytes are left.
func Transactions[T any](t testing.TB, p applayer.Parser, turns ...Turn) (done []T) {
	t.Helper()
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	take := func() {
		for ev := range out.Take {
			if tx, ok := any(ev.Tx).(*T); ok && ev.Hook == applayer.TxDone {
				done = append(done, *tx)
			}
		}
	}
	for _, tn := range turns {
		for data := []byte(tn.Data); len(data) > 0; {
			n := p.Data(&out, tn.Dir, data)
			take()
			if n == 0 {
				t.Fatalf("%d bytes left", len(data))
			}
			data = data[n:]
		}
	}
	for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
		p.End(&out, dir)
		take()
	}
	return done
}

// Fuzz feeds a connection whole and byte by byte: the same must come of it, and no more than
// most bytes be held.
func Fuzz(f *testing.F, parser func() applayer.Parser, most int, seeds ...[2]string) {
	for _, s := range seeds {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, client, server []byte) {
		turns := []Turn{C(string(client)), S(string(server))}
		p := parser()
		whole := Follow(t, p, packet.ProtoTCP, 1<<20, turns...)
		if p.Memory() > most {
			t.Fatalf("%d bytes held", p.Memory())
		}
		if pieces := Follow(t, p, packet.ProtoTCP, 1, turns...); whole != pieces {
			t.Fatalf("whole:\n%s\nby bytes:\n%s", whole, pieces)
		}
	})
}

// FuzzDatagrams feeds two datagrams: nothing must break.
func FuzzDatagrams(f *testing.F, parser func() applayer.Parser, most int, seeds ...[2]string) {
	for _, s := range seeds {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, client, server []byte) {
		p := parser()
		Follow(t, p, packet.ProtoUDP, 0, C(string(client)), S(string(server)))
		if p.Memory() > most {
			t.Fatalf("%d bytes held", p.Memory())
		}
	})
}

func note(log *bytes.Buffer, out *applayer.Sink) {
	for ev := range out.Take {
		fmt.Fprintf(log, "%v %v", ev.Hook, ev.Dir)
		if ev.Tx != nil {
			describe(log, ev.Tx)
		}
		fmt.Fprintln(log)
	}
}

// describe writes the number, the buffers and the numbers of a transaction.
func describe(log *bytes.Buffer, tx applayer.Tx) {
	fmt.Fprintf(log, " #%d", tx.State().ID)
	for _, a := range tx.State().Anomalies {
		fmt.Fprintf(log, " !%v", a)
	}
	for b := applayer.Buffer(1); b < applayer.NumBuffers; b++ {
		for i := 0; ; i++ {
			v, ok := tx.Value(b, i)
			if !ok {
				break
			}
			fmt.Fprintf(log, " %v=%q", b, v)
		}
	}
	for n := applayer.Number(1); n < applayer.NumNumbers; n++ {
		for i := 0; ; i++ {
			v, ok := tx.Number(n, i)
			if !ok {
				break
			}
			fmt.Fprintf(log, " %v=%d", n, v)
		}
	}
}
