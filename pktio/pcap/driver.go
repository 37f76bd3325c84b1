package pcap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// Options are what a Driver can do beside reading. The zero value only reads.
type Options struct {
	// Output gets the packets that the engine accepted or made, in order.
	// The Driver flushes it in Close.
	Output *Writer

	// Offload marks every packet as one whose checksums are not filled in. Set
	// it for captures made on a host whose network card fills them in later.
	Offload bool
}

// A Driver offers a capture as one queue. The Cookie of a packet is its number in
// the capture, from 1. Reading never waits for packets to come, only for the
// file.
type Driver struct {
	queue queue
}

var _ pktio.Driver = (*Driver)(nil)

// Open opens the capture at path, "-" for standard input.
func Open(path string, opt Options) (*Driver, error) {
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("pcap: opening a capture: %w", err)
		}
	}
	reader, err := NewReader(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Driver{queue{reader: reader, file: file, output: opt.Output, offload: opt.Offload}}, nil
}

// Queues returns the one queue.
func (d *Driver) Queues() []pktio.Queue { return []pktio.Queue{&d.queue} }

// Close closes the queue.
func (d *Driver) Close() error { return d.queue.Close() }

// Damage returns, after ReadBatch has returned pktio.ErrClosed, the *DamageError
// that ended the capture, or nil if it was whole.
func (d *Driver) Damage() error { return d.queue.damage }

// Injected is the number of packets that the engine made. Like Damage it
// belongs to the queue's owner.
func (d *Driver) Injected() uint64 { return d.queue.injected }

// queue is the pktio.Queue of a capture.
type queue struct {
	reader  *Reader
	file    io.Closer
	output  *Writer
	offload bool

	ended    error // what every further ReadBatch returns
	damage   error
	injected uint64
	rec      Record        // ReadBatch's
	frame    []byte        // Inject's packet with its link header
	like     packet.Packet // Inject's example, decoded

	closed atomic.Bool
}

// ReadBatch implements pktio.Queue. A batch ends early where the Reader's buffer
// ends, because reading on would overwrite its packets.
func (q *queue) ReadBatch(batch []pktio.Packet, _ time.Duration) (int, error) {
	n, rec := 0, &q.rec
	for n < len(batch) && q.ended == nil {
		if q.closed.Load() {
			q.ended = pktio.ErrClosed
			break
		}
		err := q.reader.next(rec, n == 0)
		if err == errMustRead {
			break
		}
		if err != nil {
			q.end(err)
			break
		}
		batch[n] = pktio.Packet{Data: rec.Data, Link: rec.Link, Time: rec.Time, Len: rec.Len, Offload: q.offload, Cookie: rec.Number}
		n++
	}
	if n > 0 || q.ended == nil {
		return n, nil
	}
	return 0, q.ended
}

// end sorts the Reader's last error.
func (q *queue) end(err error) {
	var damage *DamageError
	switch {
	case errors.As(err, &damage):
		q.damage = damage
		q.ended = pktio.ErrClosed
	case errors.Is(err, io.EOF), q.closed.Load():
		q.ended = pktio.ErrClosed
	default:
		q.ended = err
	}
}

// Verdicts writes the accepted packets to the output.
func (q *queue) Verdicts(batch []pktio.Packet) error {
	if q.output == nil {
		return nil
	}
	for i := range batch {
		p := &batch[i]
		if p.Verdict != pktio.Accept {
			continue
		}
		if err := q.output.Write(p.Link, p.Time, p.Data, p.Len); err != nil {
			return err
		}
	}
	return nil
}

// Inject counts ip and writes it to the output, with the link header of like,
// whose time it gets.
func (q *queue) Inject(ip []byte, like *pktio.Packet, back bool) error {
	q.injected++
	if q.output == nil {
		return nil
	}
	q.like.Decode(like.Link, like.Data, packet.Options{})
	q.frame = append(q.frame[:0], like.Data[:q.like.LinkLen]...)
	if back && like.Link == packet.LinkEthernet && len(q.frame) >= 14 {
		var source [6]byte
		copy(source[:], q.frame[6:12])
		copy(q.frame[6:12], q.frame[:6])
		copy(q.frame, source[:])
	}
	q.frame = append(q.frame, ip...)
	return q.output.Write(like.Link, like.Time, q.frame, len(q.frame))
}

// Wake implements pktio.Queue. There is nothing to do: no ReadBatch waits for
// packets.
func (q *queue) Wake() {}

// Close implements pktio.Queue.
func (q *queue) Close() error {
	if q.closed.Swap(true) {
		return nil
	}
	err := q.file.Close()
	if q.output != nil {
		err = errors.Join(err, q.output.Flush())
	}
	return err
}
