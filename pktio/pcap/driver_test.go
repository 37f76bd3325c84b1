package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// save writes a file for Open and returns its path.
func save(t *testing.T, file []byte) string {
	path := filepath.Join(t.TempDir(), "test.pcap")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, file []byte, opt Options) *Driver {
	d, err := Open(save(t, file), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestWriter lets pcapgo read what Writer wrote.
func TestWriter(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file)
	records := []Record{
		{Data: []byte("abc"), Link: packet.LinkSLL, Time: 1_700_000_000_123_456_789, Len: 60, Number: 1},
		{Data: []byte{}, Link: packet.LinkSLL, Time: 1, Len: 0, Number: 2},
	}
	for _, rec := range records {
		if err := w.Write(rec.Link, rec.Time, rec.Data, rec.Len); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(packet.LinkRaw, 0, nil, 0); err == nil {
		t.Error("a second link type was taken")
	}
	if err := w.Write(packet.LinkSLL, 0, make([]byte, maxRecord+1), 0); err == nil {
		t.Error("a packet that no reader takes was written")
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if got := packet.LinkType(r.LinkType()); got != packet.LinkSLL {
		t.Errorf("link type %d", got)
	}
	for _, want := range records {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, want.Data) || ci.Timestamp.UnixNano() != want.Time || ci.Length != want.Len {
			t.Errorf("pcapgo read %q, %v, %d bytes; want %+v", data, ci.Timestamp, ci.Length, want)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("after the last packet: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWriterError(t *testing.T) {
	full := errors.New("disk full")
	w := NewWriter(failingWriter{full})
	if err := w.Write(packet.LinkRaw, 0, []byte("a"), 1); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, full) {
		t.Errorf("Flush: %v", err)
	}
}

// TestDriver replays more than a buffer, accepts every other packet, and finds
// exactly those in the output. All data of a batch is compared after the batch
// is complete, when a reader that overwrites its buffer has done so.
func TestDriver(t *testing.T) {
	file := written(t, 2000)
	if len(file) < 2*bufferSize {
		t.Fatalf("the file has only %d bytes", len(file))
	}
	in, _ := readAll(bytes.NewReader(file))
	var output bytes.Buffer
	d := open(t, file, Options{Output: NewWriter(&output)})
	q := d.Queues()[0]
	batch := make([]pktio.Packet, 64)
	var want []Record
	seen := 0
	for {
		n, err := q.ReadBatch(batch, 0)
		if errors.Is(err, pktio.ErrClosed) {
			break
		}
		if err != nil || n == 0 {
			t.Fatalf("ReadBatch = %d, %v", n, err)
		}
		for i := range batch[:n] {
			p, rec := &batch[i], in[seen]
			seen++
			if !bytes.Equal(p.Data, rec.Data) || p.Cookie != rec.Number || p.Time != rec.Time || p.Len != rec.Len || p.Link != rec.Link || p.Verdict != pktio.Drop || p.Offload {
				t.Fatalf("packet %d differs from its record", seen)
			}
			if seen%2 == 0 {
				p.Verdict = pktio.Accept
				rec.Number = uint64(len(want) + 1)
				want = append(want, rec)
			}
		}
		if err := q.Verdicts(batch[:n]); err != nil {
			t.Fatal(err)
		}
	}
	if seen != len(in) || d.Damage() != nil {
		t.Errorf("%d of %d packets, damage %v", seen, len(in), d.Damage())
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(&output)
	if err != io.EOF || len(got) != len(want) {
		t.Fatalf("output: %v after %d packets, want %d", err, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(want[i].Data, got[i].Data) || want[i].Time != got[i].Time {
			t.Fatalf("output: packet %d differs", i+1)
		}
	}
}

func TestDriverDamage(t *testing.T) {
	file := written(t, 3)
	d := open(t, file[:len(file)-1], Options{Offload: true})
	q := d.Queues()[0]
	batch := make([]pktio.Packet, 8)
	if n, err := q.ReadBatch(batch, 0); n != 2 || err != nil || !batch[0].Offload {
		t.Errorf("ReadBatch = %d, %v, want the 2 whole packets", n, err)
	}
	for range 2 { // it stays closed
		if n, err := q.ReadBatch(batch, 0); n != 0 || !errors.Is(err, pktio.ErrClosed) {
			t.Errorf("ReadBatch = %d, %v, want ErrClosed", n, err)
		}
	}
	var damage *DamageError
	if !errors.As(d.Damage(), &damage) || damage.Record != 3 {
		t.Errorf("Damage = %v, want one of packet 3", d.Damage())
	}
}

func TestDriverClose(t *testing.T) {
	d := open(t, written(t, 3), Options{})
	q := d.Queues()[0]
	if n, err := q.ReadBatch(make([]pktio.Packet, 1), -1); n != 1 || err != nil {
		t.Fatalf("ReadBatch = %d, %v", n, err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	q.Wake()
	if n, err := q.ReadBatch(make([]pktio.Packet, 1), -1); n != 0 || !errors.Is(err, pktio.ErrClosed) {
		t.Errorf("after Close ReadBatch = %d, %v", n, err)
	}
}

func TestInject(t *testing.T) {
	offending := packettest.TCP("10.0.0.1:1234", "10.0.0.2:80", packet.ACK, 1, 2, nil)
	reset := packettest.TCP("10.0.0.2:80", "10.0.0.1:1234", packet.RST, 2, 0, nil)
	frame := packettest.Ethernet(offending, 7)
	back := append(append(append([]byte{}, frame[6:12]...), frame[:6]...), frame[12:18]...)
	for _, test := range []struct {
		name string
		like pktio.Packet
		back bool
		want []byte
	}{
		{"Ethernet, back", pktio.Packet{Data: frame, Link: packet.LinkEthernet}, true, append(back, reset...)},
		{"Ethernet, on", pktio.Packet{Data: frame, Link: packet.LinkEthernet}, false, append(frame[:18:18], reset...)},
		{"raw", pktio.Packet{Data: offending, Link: packet.LinkRaw}, true, reset},
		{"cut Ethernet", pktio.Packet{Data: frame[:3], Link: packet.LinkEthernet}, true, reset},
	} {
		t.Run(test.name, func(t *testing.T) {
			var output bytes.Buffer
			d := open(t, written(t, 1), Options{Output: NewWriter(&output)})
			test.like.Time = 42
			if err := d.Queues()[0].Inject(reset, &test.like, test.back); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			got, _ := readAll(&output)
			want := []Record{{Data: test.want, Link: test.like.Link, Time: 42, Len: len(test.want), Number: 1}}
			if diff := cmp.Diff(want, got); diff != "" || d.Injected() != 1 {
				t.Errorf("%d injected (-want +got):\n%s", d.Injected(), diff)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "missing"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(save(t, []byte("text")), Options{}); err == nil {
		t.Error("a text was opened")
	}
}

func TestNoAllocs(t *testing.T) {
	records := build(binary.LittleEndian, magicMicros, uint16(2), uint16(4), 0, 0, 65535, int(packet.LinkRaw))
	for range 20000 {
		records = append(records, build(binary.LittleEndian, 1, 0, 64, 64, make([]byte, 64))...)
	}
	d := open(t, records, Options{Output: NewWriter(io.Discard)})
	q := d.Queues()[0]
	batch := make([]pktio.Packet, 64)
	reset := packettest.TCP("10.0.0.2:80", "10.0.0.1:1234", packet.RST, 2, 0, nil)
	allocs := testing.AllocsPerRun(200, func() {
		if n, err := q.ReadBatch(batch, 0); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		for i := range batch {
			batch[i].Verdict = pktio.Accept
		}
		if err := q.Verdicts(batch); err != nil {
			t.Fatal(err)
		}
		if err := q.Inject(reset, &batch[0], true); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per batch", allocs)
	}
}
