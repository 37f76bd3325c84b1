package defrag

import (
	"encoding/binary"
	"slices"
	"sort"

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
// stand at tracker.store[at:]. The first trim of them are another's. Of one that begins the
// datagram the headers, head bytes long, stand before them, and before these link bytes of the
// link layer.
type frag struct {
	from, to   int
	trim       int
	at         int
	head, link int
	more       bool
}

// start is the place of the first byte that is the fragment's.
func (f *frag) start() int { return f.from + f.trim }

// wins is the place of the first byte that the fragment gives to the datagram. Suricata
// does not mind that one at the front was trimmed, but for what is behind it.
func (f *frag) wins() int {
	if f.from == 0 {
		return 0
	}
	return f.start()
}

// trimTo takes from the fragment its bytes before to.
func (f *frag) trimTo(to int) {
	if to > f.from {
		f.trim = max(f.trim, to-f.from)
	}
}

// empty says whether nothing is the fragment's.
func (f *frag) empty() bool { return f.start() >= f.to }

// robbed says whether all of it is another's.
func (f *frag) robbed() bool { return f.trim > 0 && f.empty() }

// tracker is one datagram on its way to completion.
type tracker struct {
	key          key   // of what it belongs to
	since        int64 // when it began
	older, newer *tracker
	condemned    bool

	end   int    // length of the payload; -1 until a last fragment is there
	frags []frag // by from, and of equal ones the later behind
	store []byte
	cost  int // its part of Table.used
}

// part is a fragment as it arrives.
type part struct {
	frag
	link    []byte // the link-layer header
	headers []byte // to the end of the unfragmentable part; nextAt is in it
	payload []byte
	nextAt  int   // place of the protocol field that names what the payload is
	next    uint8 // what it has to say
}

// parse splits a fragment into headers and payload. It reports false when there is
// no fragment header where there has to be one.
func parse(p *packet.Packet) (f part, ok bool) {
	f.link = p.Data[:p.LinkLen]
	if p.IPVersion == 4 {
		header := int(p.Net[0]&0x0f) * 4
		f.headers, f.payload, f.nextAt, f.next = p.Net[:header], p.Net[header:], 9, p.Net[9]
	} else if !f.split6(p.Net) {
		return f, false
	}
	f.more = p.MoreFrags
	f.from = int(p.FragOffset)
	f.to = f.from + len(f.payload)
	return f, true
}

// split6 finds the fragment header of an IPv6 packet. The headers before it
// share their first two bytes, next header and length (RFC 8200, 4.2).
func (f *part) split6(b []byte) bool {
	const hopByHop, routing, fragment, auth, destination, mobility, hip, shim6 = 0, 43, 44, 51, 60, 135, 139, 140
	nextAt, at := 6, 40
	for at+8 <= len(b) {
		size := 8 + int(b[at+1])*8
		switch b[nextAt] {
		case fragment:
			f.headers, f.payload, f.nextAt, f.next = b[:at], b[at+8:], nextAt, b[at]
			return true
		case auth:
			if size = 12; b[at+1] > 0 {
				size = 8 + int(b[at+1])*4
			}
		case hopByHop, routing, destination, mobility, hip, shim6:
		default:
			return false
		}
		nextAt, at = at, at+size
	}
	return false
}

// sound says whether no honest host would send f after what is there: fragments but
// the last carry a multiple of 8 bytes (RFC 791, 3.2; RFC 8200, 4.5), and all agree where the
// datagram ends.
func (tr *tracker) sound(f *part) Status {
	switch {
	case len(f.payload) == 0 || f.more && len(f.payload)%8 != 0:
		return Malformed
	case tr.end >= 0 && (f.to > tr.end || !f.more && f.to != tr.end):
		return Conflict
	case !f.more && slices.ContainsFunc(tr.frags, func(x frag) bool { return x.to > f.to }):
		return Conflict
	}
	return Incomplete
}

// insert adds a fragment to its datagram, as far as the policy takes its bytes.
func (t *Table) insert(p *packet.Packet, tr *tracker, f *part) Status {
	size := len(f.payload)
	if f.from == 0 {
		size += len(f.link) + len(f.headers)
	}
	status := Incomplete
	if len(tr.frags) >= t.opt.Fragments || len(tr.store)+size > maxStored {
		status = TooMany
	} else if t.used+size+fragCost > t.opt.Memory {
		status = Full
	}
	if status != Incomplete {
		note(p, packet.EventIPv4FragmentIgnored, packet.EventIPv6FragmentIgnored)
		return status
	}
	kept, overlaps := tr.place(&f.frag, t.opt.Policy.of(tr.key.version))
	if overlaps {
		t.stats.Overlaps++
		note(p, packet.EventIPv4FragmentOverlap, packet.EventIPv6FragmentOverlap)
	}
	if !kept {
		return Incomplete
	}
	f.payload = f.payload[f.trim:]
	f.from, f.trim = f.start(), 0
	if f.from == 0 {
		f.head, f.frag.link = len(f.headers), len(f.link)
		tr.store = append(append(tr.store, f.link...), f.headers...)
		tr.store[len(tr.store)-f.head+f.nextAt] = f.next
	}
	f.at = len(tr.store)
	tr.store = append(tr.store, f.payload...)
	// Behind those that begin with it, too.
	i := sort.Search(len(tr.frags), func(i int) bool { return tr.frags[i].from > f.from })
	tr.frags = slices.Insert(tr.frags, i, f.frag)
	if !f.more {
		tr.end = f.to
	}
	tr.cost += size + fragCost
	t.used += size + fragCost
	return Incomplete
}

// place settles whose the bytes are that f and earlier fragments both have. It reports
// whether anything of f is to be kept.
func (tr *tracker) place(f *frag, policy Policy) (kept, overlaps bool) {
	// Suricata begins with the last fragment that begins before f, and from the
	// front if there is none behind that or f is at the front.
	i := sort.Search(len(tr.frags), func(i int) bool { return tr.frags[i].from >= f.from })
	if i == len(tr.frags) || f.from == 0 {
		i = 0
	}
	for i = max(i-1, 0); i < len(tr.frags); i++ {
		old := &tr.frags[i]
		overlaps = overlaps || f.from < old.to && old.from < f.to
		var after *frag
		if i+1 < len(tr.frags) {
			after = &tr.frags[i+1]
		}
		switch policy.meet(f, old, after) {
		case discard:
			return false, overlaps
		case keep:
			// What is all another's must not trim anybody any more.
			if after != nil && after.robbed() {
				tr.frags = slices.Delete(tr.frags, i+1, i+2)
			}
			if tr.frags[i].robbed() {
				tr.frags = slices.Delete(tr.frags, i, i+1)
			}
			return !f.empty(), overlaps
		}
	}
	return f.from == f.to || !f.empty(), overlaps
}

// full says whether the fragments reach from the front to a last one.
func (tr *tracker) full() bool {
	if tr.end < 0 {
		return false
	}
	reach := 0
	for i := range tr.frags {
		if tr.frags[i].from > reach {
			return false
		}
		reach = max(reach, tr.frags[i].to)
	}
	return true
}

// appendWhole appends the rebuilt packet to b: link-layer header and headers of the
// fragment that begins the datagram, with what made it a fragment taken out. link is where the IP header
// begins. The status says what is wrong, or Complete.
func (t *Table) appendWhole(b []byte, tr *tracker) (whole []byte, link int, status Status) {
	n := 1 + slices.IndexFunc(tr.frags, func(f frag) bool { return !f.more && !f.empty() })
	frags := tr.frags[:n]
	if n == 0 || !t.gapless(frags) {
		return b, 0, Ambiguous
	}
	var first *frag // of several at the front, the last
	for i := range frags {
		if f := &frags[i]; f.from == 0 && !f.empty() {
			first = f
		}
	}
	if first == nil {
		return b, 0, Ambiguous
	}
	b = append(b, tr.store[first.at-first.head-first.link:first.at]...)
	front := len(b)
	for i := range frags {
		f := &frags[i]
		if f.empty() {
			continue
		}
		start := f.wins()
		b = append(b, make([]byte, max(0, front+f.to-len(b)))...)
		copy(b[front+start:], tr.store[f.at+start-f.from:f.at+f.to-f.from])
	}
	return b, first.link, tr.finish(b[first.link:], first.head)
}

// gapless says whether every byte of the datagram is somebody's: a fragment can be trimmed
// for one that is trimmed itself later.
func (t *Table) gapless(frags []frag) bool {
	t.order = t.order[:0]
	trimmed := false
	for i := range frags {
		f := &frags[i]
		trimmed = trimmed || f.trim > 0
		if !f.empty() {
			t.order = append(t.order, f)
		}
	}
	if !trimmed {
		return len(t.order) > 0
	}
	slices.SortFunc(t.order, func(a, b *frag) int { return a.wins() - b.wins() })
	reach := 0
	for _, f := range t.order {
		if f.wins() > reach {
			return false
		}
		reach = max(reach, f.to)
	}
	return true
}

// finish makes ip, whose headers are head bytes long, a packet that is no fragment.
func (tr *tracker) finish(ip []byte, head int) Status {
	if tr.key.version == 6 {
		length := len(ip) - 40
		if length > maxDatagram {
			return Oversize
		}
		binary.BigEndian.PutUint16(ip[4:], uint16(length))
		return Complete
	}
	if len(ip) > maxDatagram {
		return Oversize
	}
	header := ip[:head]
	binary.BigEndian.PutUint16(header[2:], uint16(len(ip)))
	clear(header[6:8])   // flags and fragment offset
	clear(header[10:12]) // checksum
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return Complete
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
	*tr = tracker{key: k, since: now, end: -1, older: t.newest, cost: trackerCost, frags: tr.frags[:0], store: tr.store[:0]}
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
	if len(t.spare) < spareTrackers && cap(tr.frags) <= spareFrags {
		t.spare = append(t.spare, tr)
	}
}
