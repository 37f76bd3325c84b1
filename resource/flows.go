package resource

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"sync"
)

// FlowsPerChunk is the most flows that one result chunk holds. A chunk of them
// takes at most 570,000 bytes uncompressed, within what an etcd takes without
// any setting.
const FlowsPerChunk = 10000

// FlowRecord is one flow of a result. Source is the side that sent the flow's
// first packet; the totals count both directions.
type FlowRecord struct {
	Src, Dst         [16]byte // IPv4 in its IPv4-mapped form (RFC 4291, 2.5.5.2)
	SrcPort, DstPort uint16   // of a protocol without ports: 0, or what the engine keys such flows by
	Proto            uint8    // IANA number
	Age              uint32   // seconds from the first packet to when the flow was picked
	Packets, Bytes   uint64
}

// Addrs returns the addresses, IPv4 as such.
func (f *FlowRecord) Addrs() (src, dst netip.Addr) {
	return netip.AddrFrom16(f.Src).Unmap(), netip.AddrFrom16(f.Dst).Unmap()
}

// flowSize is the length of an encoded record in bytes:
// src 16, dst 16, ports 2+2, protocol 1, age 4, packets 8, bytes 8, big-endian.
const flowSize = 57

// FlowResult names a result chunk of an operation; chunks count from 0.
func (s Scope) FlowResult(id, node string, chunk int) string {
	return s.FlowResults(id, node) + fmt.Sprintf("%06d", chunk)
}

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant of the package
	}
	return w
}}

// EncodeFlows writes flows as one result chunk. Callers keep them to
// FlowsPerChunk; DecodeFlows refuses more.
func EncodeFlows(flows []FlowRecord) []byte {
	var b bytes.Buffer
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&b)
	var record [flowSize]byte
	for i := range flows {
		flows[i].encode(&record)
		w.Write(record[:]) // a bytes.Buffer takes everything
	}
	w.Close()
	return b.Bytes()
}

func (f *FlowRecord) encode(b *[flowSize]byte) {
	copy(b[0:16], f.Src[:])
	copy(b[16:32], f.Dst[:])
	binary.BigEndian.PutUint16(b[32:34], f.SrcPort)
	binary.BigEndian.PutUint16(b[34:36], f.DstPort)
	b[36] = f.Proto
	binary.BigEndian.PutUint32(b[37:41], f.Age)
	binary.BigEndian.PutUint64(b[41:49], f.Packets)
	binary.BigEndian.PutUint64(b[49:57], f.Bytes)
}

func (f *FlowRecord) decode(b []byte) {
	f.Src, f.Dst = [16]byte(b[0:16]), [16]byte(b[16:32])
	f.SrcPort = binary.BigEndian.Uint16(b[32:34])
	f.DstPort = binary.BigEndian.Uint16(b[34:36])
	f.Proto = b[36]
	f.Age = binary.BigEndian.Uint32(b[37:41])
	f.Packets = binary.BigEndian.Uint64(b[41:49])
	f.Bytes = binary.BigEndian.Uint64(b[49:57])
}

// DecodeFlows reads a result chunk. It takes no more memory than FlowsPerChunk
// flows need, whatever the chunk says.
func DecodeFlows(chunk []byte) ([]FlowRecord, error) {
	r, err := gzip.NewReader(bytes.NewReader(chunk))
	if err != nil {
		return nil, fmt.Errorf("flow results: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(r, FlowsPerChunk*flowSize+1))
	if err != nil {
		return nil, fmt.Errorf("flow results: %w", err)
	}
	if len(raw)%flowSize != 0 || len(raw) > FlowsPerChunk*flowSize {
		return nil, fmt.Errorf("flow results: %d bytes are not up to %d records of %d", len(raw), FlowsPerChunk, flowSize)
	}
	flows := make([]FlowRecord, len(raw)/flowSize)
	for i := range flows {
		flows[i].decode(raw[i*flowSize:])
	}
	return flows, nil
}
