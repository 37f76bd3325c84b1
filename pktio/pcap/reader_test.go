package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/sluicefw/sluice/engine/packet"
)

// readAll reads src to its end, and returns copies of its records and what ended it.
func readAll(src io.Reader) ([]Record, error) {
	r, err := NewReader(src)
	if err != nil {
		return nil, err
	}
	var all []Record
	for {
		var rec Record
		if err := r.Next(&rec); err != nil {
			return all, err
		}
		rec.Data = bytes.Clone(rec.Data)
		all = append(all, rec)
	}
}

// build makes a file from 16- and 32-bit words in the given byte order, and
// from strings.
func build(order binary.AppendByteOrder, parts ...any) []byte {
	var b []byte
	for _, part := range parts {
		switch v := part.(type) {
		case uint16:
			b = order.AppendUint16(b, v)
		case int:
			b = order.AppendUint32(b, uint32(v))
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		default:
			panic(fmt.Sprintf("%T", part))
		}
	}
	return b
}

// block wraps a body, which is a multiple of 4 bytes long, as a pcapng block.
func block(order binary.AppendByteOrder, kind int, parts ...any) []byte {
	body := build(order, parts...)
	total := len(body) + 12
	return build(order, kind, total, body, total)
}

var orders = []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian}

func TestClassic(t *testing.T) {
	for _, order := range orders {
		for _, format := range []struct {
			magic int
			time  int64
		}{
			{magicMicros, 1_000_000_007_000},
			{magicNanos, 1_000_000_000_007},
		} {
			t.Run(fmt.Sprintf("%v %#x", order, format.magic), func(t *testing.T) {
				file := build(order,
					format.magic, uint16(2), uint16(4), 0, 0, // version, zone, accuracy
					4,                      // snap length, which the second record ignores
					0x14000000|1,           // FCS length 4 bytes... and Ethernet
					1000, 7, 4, 60, "abcd", // seconds, fraction, bytes here, bytes on the wire
					1000, 7, 5, 5, "abcde",
					1000, 7, 2, 1, "ab", // more here than on the wire
				)
				got, err := readAll(bytes.NewReader(file))
				want := []Record{
					{Data: []byte("abcd"), Link: 1, Time: format.time, Len: 60, Number: 1},
					{Data: []byte("abcde"), Link: 1, Time: format.time, Len: 5, Number: 2},
					{Data: []byte("ab"), Link: 1, Time: format.time, Len: 2, Number: 3},
				}
				if diff := cmp.Diff(want, got); diff != "" || err != io.EOF {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			})
		}
	}
}

// ngFile has a section in each byte order, every kind of packet block, blocks
// to skip, and interfaces with every sort of time.
func ngFile(first, second binary.AppendByteOrder) []byte {
	resolution := func(order binary.AppendByteOrder, r string) []byte {
		return build(order, uint16(9), uint16(1), r+"\x00\x00\x00", uint16(0), uint16(0))
	}
	a, b := first, second
	seconds := make([]byte, 8)
	a.(binary.ByteOrder).PutUint64(seconds, 1<<64-10) // -10
	return bytes.Join([][]byte{
		block(a, blockSection, byteOrderMagic, uint16(1), uint16(0), -1, -1),
		block(a, blockInterface, uint16(1), uint16(0), 3), // Ethernet, microseconds, snap length 3
		block(a, blockInterface, uint16(101), uint16(0), 0, resolution(a, "\x09")),
		block(a, blockInterface, uint16(113), uint16(0), 0, uint16(2), uint16(3), "eth\x00", resolution(a, "\x83")), // eighths
		block(a, blockInterface, uint16(1), uint16(0), 0, uint16(14), uint16(8), seconds, resolution(a, "\x00")),    // seconds
		block(a, blockEnhanced, 0, 0, 7, 5, 60, "abcde\x00\x00\x00", uint16(1), uint16(2), "ok\x00\x00", 0),
		block(a, 0x0bad, "skipped!"),
		block(a, blockEnhanced, 1, 1, 7, 4, 4, "abcd"),
		block(a, blockEnhanced, 2, 0, 8*5+1, 4, 4, "abcd"),
		block(a, blockSimple, 9, "abc\x00"), // cut to the snap length
		block(a, blockPacket, uint16(3), uint16(9), 0, 25, 4, 4, "abcd"),
		block(b, blockSection, byteOrderMagic, uint16(1), uint16(2), -1, -1, uint16(1), uint16(2), "ok\x00\x00", 0),
		block(b, blockInterface, uint16(228), uint16(0), 0),
		block(b, blockEnhanced, 0, 0, 8, 0, 60),
	}, nil)
}

func TestPcapng(t *testing.T) {
	want := []Record{
		{Data: []byte("abcde"), Link: 1, Time: 7000, Len: 60, Number: 1},
		{Data: []byte("abcd"), Link: 101, Time: 1<<32 + 7, Len: 4, Number: 2},
		{Data: []byte("abcd"), Link: 113, Time: 5_125_000_000, Len: 4, Number: 3},
		{Data: []byte("abc"), Link: 1, Time: 5_125_000_000, Len: 9, Number: 4},
		{Data: []byte("abcd"), Link: 1, Time: 15_000_000_000, Len: 4, Number: 5},
		{Data: []byte{}, Link: 228, Time: 8000, Len: 60, Number: 6},
	}
	for _, a := range orders {
		for _, b := range orders {
			t.Run(fmt.Sprint(a, b), func(t *testing.T) {
				got, err := readAll(bytes.NewReader(ngFile(a, b)))
				if diff := cmp.Diff(want, got); diff != "" || err != io.EOF {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			})
		}
	}
}

func TestTimes(t *testing.T) {
	for _, test := range []struct {
		i     iface
		stamp uint64
		want  int64
	}{
		{iface{perSec: countsPerSecond(6)}, 1_700_000_000_123_456, 1_700_000_000_123_456_000},
		{iface{perSec: countsPerSecond(9)}, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789},
		{iface{perSec: countsPerSecond(12)}, 1_999_999_999_999_999, 1_999_999_999_999},
		{iface{perSec: countsPerSecond(0x80 | 63)}, 1<<63 | 1<<62, 1_500_000_000},
		{iface{perSec: countsPerSecond(0)}, 1<<64 - 1, 1<<63 - 1},
		{iface{perSec: countsPerSecond(0), seconds: 1<<63 - 1}, 5, 1<<63 - 1},
		{iface{perSec: countsPerSecond(0), seconds: -1 << 63}, 5, -1 << 63},
		{iface{perSec: countsPerSecond(0), seconds: -7}, 5, -2_000_000_000},
	} {
		if got := test.i.nanos(uint32(test.stamp>>32), uint32(test.stamp)); got != test.want {
			t.Errorf("%+v: time stamp %d is %d, want %d", test.i, test.stamp, got, test.want)
		}
	}
	for _, r := range []byte{20, 127, 0x80 | 64, 0xff} {
		if got := countsPerSecond(r); got != 0 {
			t.Errorf("resolution %#x: %d counts per second, want none", r, got)
		}
	}
}

func TestDamage(t *testing.T) {
	le := binary.LittleEndian
	classic := build(le, magicMicros, uint16(2), uint16(4), 0, 0, 65535, 1, 1, 0, 4, 4, "good")
	ng := bytes.Join([][]byte{
		block(le, blockSection, byteOrderMagic, uint16(1), uint16(0), -1, -1),
		block(le, blockInterface, uint16(1), uint16(0), 0),
		block(le, blockEnhanced, 0, 0, 0, 4, 4, "good"),
	}, nil)
	var interfaces []byte
	for range maxInterfaces {
		interfaces = append(interfaces, block(le, blockInterface, uint16(1), uint16(0), 0)...)
	}
	for _, test := range []struct {
		name string
		good []byte
		bad  []byte
	}{
		{"cut in the header", classic, build(le, 1, 0, 4)},
		{"cut in the packet", classic, build(le, 1, 0, 4, 4, "abc")},
		{"too large", classic, build(le, 1, 0, maxRecord+1, 4)},
		{"negative", classic, build(le, 1, 0, -1, 4)},
		{"cut in the block header", ng, build(le, blockEnhanced)},
		{"cut in the block", ng, build(le, blockEnhanced, 36, 0, 0, 0, 4, 4, "abcd")},
		{"cut in a skipped block", ng, build(le, 0x0bad, 1<<20, 0)},
		{"length 8", ng, build(le, blockEnhanced, 8, 8)},
		{"length not a multiple of 4", ng, build(le, blockEnhanced, 37, 0, 0, 0, 4, 4, "abcd", 37)},
		{"lengths differ", ng, build(le, blockEnhanced, 36, 0, 0, 0, 4, 4, "abcd", 40)},
		{"block too large", ng, build(le, blockEnhanced, bufferSize+4, 0)},
		{"packet larger than its block", ng, block(le, blockEnhanced, 0, 0, 0, 5, 5, "abcd")},
		{"packet larger than the limit", ng, block(le, blockEnhanced, 0, 0, 0, maxRecord+4, 0, make([]byte, maxRecord+4))},
		{"packet of negative size", ng, block(le, blockEnhanced, 0, 0, 0, -1, 5, "abcd")},
		{"no such interface", ng, block(le, blockEnhanced, 1, 0, 0, 4, 4, "abcd")},
		{"enhanced block without its fields", ng, block(le, blockEnhanced, 0, 0, 0, 0)},
		{"obsolete block without its fields", ng, block(le, blockPacket, 0, 0, 0, 0)},
		{"simple block without its field", ng, block(le, blockSimple)},
		{"simple packet larger than its block", ng, block(le, blockSimple, 5, "abcd")},
		{"interface without its fields", ng, block(le, blockInterface, 1)},
		{"interface option runs out", ng, block(le, blockInterface, 1, 0, uint16(9), uint16(5), "abcd")},
		{"absurd resolution", ng, block(le, blockInterface, 1, 0, uint16(9), uint16(1), "\x14\x00\x00\x00")},
		{"one interface too many", ng, interfaces},
		{"section header without its fields", ng, block(le, blockSection, byteOrderMagic)},
		{"section of version 2", ng, block(le, blockSection, byteOrderMagic, uint16(2), uint16(0), -1, -1)},
		{"section without byte order", ng, block(le, blockSection, 0, uint16(1), uint16(0), -1, -1)},
		{"interface of the section before", append(ng[:len(ng):len(ng)], block(le, blockSection, byteOrderMagic, uint16(1), uint16(0), -1, -1)...),
			block(le, blockSimple, 4, "abcd")},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(append(test.good[:len(test.good):len(test.good)], test.bad...)))
			var damage *DamageError
			if !errors.As(err, &damage) {
				t.Fatalf("error = %v, want a DamageError", err)
			}
			if len(got) != 1 || string(got[0].Data) != "good" {
				t.Errorf("read %d packets in front of the damage, want 1", len(got))
			}
			at := int64(len(test.good))
			switch test.name {
			case "one interface too many":
				at += int64((maxInterfaces - 1) * 20)
			case "cut in a skipped block":
				at += 12
			}
			if damage.Offset != at || damage.Record != 2 || damage.Reason == "" {
				t.Errorf("%v; want it at byte %d, packet 2", damage, at)
			}
		})
	}
}

func TestNoCapture(t *testing.T) {
	for name, file := range map[string]string{
		"empty":      "",
		"text":       "hello, world",
		"gzip":       "\x1f\x8b\x08\x00",
		"cut header": string(build(binary.LittleEndian, magicMicros, 0)),
	} {
		if _, err := NewReader(bytes.NewReader([]byte(file))); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: error = %v", name, err)
		}
	}
}

// TestReadError keeps a failing disk apart from a damaged file.
func TestReadError(t *testing.T) {
	broken := errors.New("broken disk")
	file := build(binary.LittleEndian, magicMicros, uint16(2), uint16(4), 0, 0, 65535, 1, 1, 0, 4, 4, "good", 1)
	got, err := readAll(io.MultiReader(bytes.NewReader(file), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("error = %v after %d packets", err, len(got))
	}
	if _, err := NewReader(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("NewReader: %v", err)
	}
}

// TestSmallReads gets every file a byte at a time, as from a slow pipe.
func TestSmallReads(t *testing.T) {
	for _, file := range [][]byte{ngFile(binary.LittleEndian, binary.BigEndian), written(t, 20)} {
		want, _ := readAll(bytes.NewReader(file))
		got, err := readAll(iotest.OneByteReader(bytes.NewReader(file)))
		if diff := cmp.Diff(want, got); diff != "" || err != io.EOF || len(got) == 0 {
			t.Errorf("%v (-at once +by bytes):\n%s", err, diff)
		}
	}
}

// written is a classic file of n random packets from pcapgo.
func written(t testing.TB, n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		data := make([]byte, 1+r.IntN(3000))
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 5), CaptureLength: len(data), Length: len(data)}, data); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestAgainstPcapgo reads what pcapgo wrote, more than the buffer holds, in both formats.
func TestAgainstPcapgo(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var classic, ng bytes.Buffer
	cw := pcapgo.NewWriterNanos(&classic)
	if err := cw.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	nw, err := pcapgo.NewNgWriter(&ng, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	var want []Record
	for i := range 3000 {
		data := make([]byte, r.IntN(2000))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		rec := Record{Data: data, Link: packet.LinkEthernet, Time: int64(r.Uint32()) * 1_000_000_007, Len: len(data) + r.IntN(2), Number: uint64(i + 1)}
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(0, rec.Time), CaptureLength: len(data), Length: rec.Len}
		if err := errors.Join(cw.WritePacket(ci, data), nw.WritePacket(ci, data)); err != nil {
			t.Fatal(err)
		}
		want = append(want, rec)
	}
	if err := nw.Flush(); err != nil {
		t.Fatal(err)
	}
	if classic.Len() < 2*bufferSize {
		t.Fatalf("the file has only %d bytes", classic.Len())
	}
	for name, file := range map[string]io.Reader{"pcap": &classic, "pcapng": &ng} {
		got, err := readAll(file)
		if err != io.EOF || len(got) != len(want) {
			t.Fatalf("%s: %v after %d packets, want %d", name, err, len(got), len(want))
		}
		for i := range want {
			if !reflect.DeepEqual(want[i], got[i]) {
				t.Fatalf("%s: got %+v, want %+v", name, got[i], want[i])
			}
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(ngFile(binary.LittleEndian, binary.BigEndian))
	f.Add(ngFile(binary.BigEndian, binary.LittleEndian))
	f.Add(build(binary.BigEndian, magicNanos, uint16(2), uint16(4), 0, 0, 65535, 1, 1, 0, 4, 4, "abcd"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		for n := uint64(1); ; n++ {
			var rec Record
			if err = r.Next(&rec); err != nil {
				break
			}
			if rec.Number != n || len(rec.Data) > maxRecord || rec.Len < len(rec.Data) {
				t.Fatalf("record %d: number %d, %d bytes of %d", n, rec.Number, len(rec.Data), rec.Len)
			}
			if n > uint64(len(file)) {
				t.Fatal("more packets than bytes")
			}
		}
		var damage *DamageError
		if err != io.EOF && !errors.As(err, &damage) {
			t.Fatalf("ended by %v", err)
		}
		if damage != nil && damage.Offset > int64(len(file)) {
			t.Fatalf("damage at %d of %d bytes", damage.Offset, len(file))
		}
		if err2 := r.Next(&Record{}); err2 == nil || err2.Error() != err.Error() {
			t.Fatalf("the end %v became %v", err, err2)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	file := written(b, 5000)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	packets := 0
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		var rec Record
		for r.Next(&rec) == nil {
			packets++
		}
	}
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds()/1e6, "Mpackets/s")
}
