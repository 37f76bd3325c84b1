package pcap

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/sluicefw/sluice/engine/packet"
)

// A Writer writes a classic capture with nanosecond times. Such a file has one
// link type: that of the first packet.
type Writer struct {
	w       *bufio.Writer
	link    packet.LinkType
	started bool
}

// NewWriter returns a Writer to w. It buffers: call Flush at the end. Closing w
// is left to the caller.
func NewWriter(w io.Writer) *Writer { return &Writer{w: bufio.NewWriterSize(w, 64<<10)} }

// Write adds a packet: its bytes from the first of link's header, its time in
// nanoseconds since 1970, and its length on the wire in bytes, which counts as
// len(data) if it is less. The format keeps seconds in 32 bits, so that times
// beyond 1970 to 2106 wrap. data is the caller's again on return.
func (w *Writer) Write(link packet.LinkType, time int64, data []byte, wireLen int) error {
	if !w.started {
		w.link, w.started = link, true
		var head [24]byte
		binary.LittleEndian.PutUint32(head[0:], magicNanos)
		binary.LittleEndian.PutUint16(head[4:], 2)
		binary.LittleEndian.PutUint16(head[6:], 4)
		binary.LittleEndian.PutUint32(head[16:], maxRecord)
		binary.LittleEndian.PutUint32(head[20:], uint32(link))
		if _, err := w.w.Write(head[:]); err != nil {
			return fmt.Errorf("pcap: writing the file header: %w", err)
		}
	}
	if link != w.link {
		return fmt.Errorf("pcap: writing a packet of link type %d into a capture of link type %d: write each link type to a file of its own", link, w.link)
	}
	if len(data) > maxRecord {
		return fmt.Errorf("pcap: writing a packet of %d bytes: a record holds at most %d", len(data), maxRecord)
	}
	seconds, nanos := time/1e9, time%1e9
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	head := w.w.AvailableBuffer()
	head = binary.LittleEndian.AppendUint32(head, uint32(seconds))
	head = binary.LittleEndian.AppendUint32(head, uint32(nanos))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(data)))
	head = binary.LittleEndian.AppendUint32(head, uint32(max(wireLen, len(data))))
	if _, err := w.w.Write(head); err != nil {
		return fmt.Errorf("pcap: writing a packet: %w", err)
	}
	if _, err := w.w.Write(data); err != nil {
		return fmt.Errorf("pcap: writing a packet: %w", err)
	}
	return nil
}

// Flush writes out what is buffered. Without a packet nothing is written, not
// even a file header, since no link type is known.
func (w *Writer) Flush() error {
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("pcap: writing out the buffer: %w", err)
	}
	return nil
}
