package defrag

import (
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// trackerCost and fragCost are what a datagram and a fragment take beside
	// the bytes on the wire.
	trackerCost = 256
	fragCost    = 64

	// maxStored bounds the bytes kept of a datagram: overlaps can make them more
	// than it has.
	maxStored = 2 * maxDatagram
)

// frag is a kept fragment: bytes from..to of the datagram's payload, which
// stand at tracker.store[at:]. Of one that begins the datagram the headers, head
// bytes long, stand before them.
type frag struct {
	from, to int
	at, head int
}

// piece says that bytes from..to of the datagram are those of a fragment.
type piece struct {
	from, to int
	frag     int // index in tracker.frags
}

// tracker is one datagram on its way to completion.
type tracker struct {
	key          key   // of what it belongs to
	since        int64 // when it began
	older, newer *tracker
	condemned    bool

	end     int // length of the payload; -1 until the last fragment is there
	covered int // bytes of it that are there
	frags   []frag
	pieces  []piece // without overlaps, in order
	scratch []piece // the next pieces
	store   []byte
	cost    int // its part of Table.used
}

// part is a fragment as it arrives.
type part struct {
	frag
	headers []byte // to the end of the unfragmentable part; nextAt is in it
	payload []byte
	nextAt  int   // place of the protocol field that names what the payload is
	next    uint8 // what it has to say
	last    bool
}

// parse splits a fragment into headers and payload. ok is false for what cannot
// be part of any datagram: all fragments but the last carry a multiple of 8 bytes
// (RFC 791, 3.2; RFC 8200, 4.5).
func parse(p *packet.Packet) (f part, ok bool) {
	switch {
	case p.IPVersion == 4:
		header := int(p.Net[0]&0x0f) * 4
		f.headers, f.payload, f.nextAt, f.next = p.Net[:header], p.Net[header:], 9, p.Net[9]
	case !f.split6(p.Net):
		return f, false
	}
	f.last = !p.MoreFrags
	f.from = int(p.FragOffset)
	f.to = f.from + len(f.payload)
	return f, len(f.payload) > 0 && (f.last || len(f.payload)%8 == 0)
}

// split6 finds the fragment header of an IPv6 packet. The headers before it
// share their first two bytes, next header and length (RFC 8200, 4.2).
func (f *part) split6(b []byte) bool {
	const hopByHop, routing, fragment, auth, destination = 0, 43, 44, 51, 60
	nextAt, at := 6, 40
	for at+8 <= len(b) {
		size := 8 + int(b[at+1])*8
		switch b[nextAt] {
		case fragment:
			f.headers, f.payload, f.nextAt, f.next = b[:at], b[at+8:], nextAt, b[at]
			return true
		case auth:
			size = 8 + int(b[at+1])*4
		case hopByHop, routing, destination:
		default:
			return false
		}
		nextAt, at = at, at+size
	}
	return false
}

// insert adds a fragment to its datagram, as far as the policy takes its bytes.
func (t *Table) insert(tr *tracker, f *part) Status {
	if f.to > maxDatagram {
		return Oversize
	}
	if tr.end >= 0 && (f.to > tr.end || f.last && f.to != tr.end) {
		return Conflict
	}
	if n := len(tr.pieces); f.last && n > 0 && tr.pieces[n-1].to > f.to {
		return Conflict
	}
	head := 0
	if f.from == 0 {
		head = len(f.headers)
	}
	size := head + len(f.payload)
	if len(tr.frags) >= t.opt.Fragments || len(tr.store)+size > maxStored {
		return TooMany
	}
	if t.used+size+fragCost > t.opt.Memory {
		return Full
	}
	if f.last {
		tr.end = f.to
	}
	taken, overlaps := tr.place(&f.frag, t.opt.Policy)
	if overlaps {
		t.stats.Overlaps++
	}
	if !taken {
		return Incomplete
	}
	if head > 0 {
		tr.store = append(tr.store, f.headers...)
		tr.store[len(tr.store)-head+f.nextAt] = f.next
	}
	tr.frags = append(tr.frags, frag{from: f.from, to: f.to, at: len(tr.store), head: head})
	tr.store = append(tr.store, f.payload...)
	tr.cost += size + fragCost
	t.used += size + fragCost
	return Incomplete
}

// place gives f, which will be the next of frags, the bytes that nobody has and
// those that the policy takes from others.
func (tr *tracker) place(f *frag, policy Policy) (taken, overlaps bool) {
	next := tr.scratch[:0]
	index, at := len(tr.frags), f.from // f has what it gets up to at
	take := func(to int) {
		if at < to {
			next = append(next, piece{at, to, index})
			tr.covered += to - at
			taken = true
		}
		at = max(at, to)
	}
	for _, p := range tr.pieces {
		switch {
		case p.to <= f.from:
			next = append(next, p)
		case p.from >= f.to:
			take(f.to)
			next = append(next, p)
		case policy.replaces(f, &tr.frags[p.frag]):
			overlaps = true
			tr.covered -= min(p.to, f.to) - max(p.from, f.from)
			if p.from < f.from {
				next = append(next, piece{p.from, f.from, p.frag})
			}
			if p.to > f.to {
				take(f.to)
				next = append(next, piece{f.to, p.to, p.frag})
			}
		default:
			overlaps = true
			take(p.from)
			next = append(next, p)
			at = max(at, p.to)
		}
	}
	take(f.to)
	tr.pieces, tr.scratch = next, tr.pieces
	return taken, overlaps
}

// appendWhole appends the rebuilt packet to b: the headers of the fragment that
// gives the first byte, with what made it a fragment taken out. ok is false when
// it is too long for them.
func (tr *tracker) appendWhole(b []byte) (whole []byte, ok bool) {
	first := tr.frags[tr.pieces[0].frag]
	b = append(b, tr.store[first.at-first.head:first.at]...)
	for _, p := range tr.pieces {
		f := &tr.frags[p.frag]
		b = append(b, tr.store[f.at+p.from-f.from:f.at+p.to-f.from]...)
	}
	if tr.key.version == 6 {
		length := len(b) - 40
		if length > maxDatagram {
			return b, false
		}
		binary.BigEndian.PutUint16(b[4:], uint16(length))
		return b, true
	}
	if len(b) > maxDatagram {
		return b, false
	}
	header := b[:first.head]
	binary.BigEndian.PutUint16(header[2:], uint16(len(b)))
	clear(header[6:8])   // flags and fragment offset
	clear(header[10:12]) // checksum
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return b, true
}

// checksum is that of an IPv4 header whose checksum field is 0 (RFC 1071).
func checksum(header []byte) uint16 {
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}

// add puts a datagram that begins at now into the table.
func (t *Table) add(k key, now int64) *tracker {
	var tr *tracker
	if n := len(t.spare); n > 0 {
		tr, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		tr = &tracker{}
	}
	*tr = tracker{
		key: k, since: now, end: -1, older: t.newest, cost: trackerCost,
		frags: tr.frags[:0], pieces: tr.pieces[:0], scratch: tr.scratch[:0], store: tr.store[:0],
	}
	if t.newest != nil {
		t.newest.newer = tr
	} else {
		t.oldest = tr
	}
	t.newest = tr
	t.used += tr.cost
	t.trackers[k] = tr
	return tr
}

// remove takes a datagram out of the table.
func (t *Table) remove(tr *tracker) {
	if tr.older != nil {
		tr.older.newer = tr.newer
	} else {
		t.oldest = tr.newer
	}
	if tr.newer != nil {
		tr.newer.older = tr.older
	} else {
		t.newest = tr.older
	}
	t.used -= tr.cost
	delete(t.trackers, tr.key)
	tr.older, tr.newer = nil, nil
	if len(t.spare) < spareTrackers {
		t.spare = append(t.spare, tr)
	}
}
