// Package defrag puts the fragments of IPv4 and IPv6 datagrams together, in the
// way that the receiving host is expected to do it.
//
// A Table belongs to one worker. It is bounded in datagrams, bytes and fragments
// of a datagram; what does not fit is refused and must not be forwarded, since
// the receiver could complete a datagram with it that nobody inspected.
package defrag

import (
	"time"

	"github.com/sluicefw/sluice/engine/packet"
)

// maxDatagram is the most that the 16-bit length fields of IP headers can say.
const maxDatagram = 65535

// Options bound a Table. A zero or negative field takes its default.
type Options struct {
	Policy    Policy
	Timeout   time.Duration // from a datagram's first fragment; 60 s, as in RFC 8200, 4.5
	Datagrams int           // incomplete at once; 65,535, as in Suricata's configuration
	Memory    int           // bytes of fragments; 32 MiB, as in Suricata's configuration
	Fragments int           // of a datagram; 8,192, which is all that its bytes can be cut into
}

// Status is what became of a fragment.
type Status uint8

const (
	Incomplete Status = iota // kept; others are missing
	Complete                 // it was the last that was missing

	// The fragment is not part of a datagram that can be inspected.
	Malformed // empty, or not the last and no multiple of 8 bytes
	Oversize  // the datagram would be longer than IP can say
	Conflict  // it contradicts others about where the datagram ends
	Ambiguous // of so many overlaps that the policy leaves a hole where there are bytes
	TooMany   // the datagram has too many fragments, or bytes in overlaps
	Full      // the table has too many datagrams or bytes
	Condemned // its datagram was refused before

	NumStatus // how many values there are
)

var statusNames = [NumStatus]string{"incomplete", "complete", "malformed", "oversize", "conflict", "ambiguous", "too_many", "memory", "refused_datagram"}

// String returns the status in snake case, fit to be a metric label's value.
func (s Status) String() string { return statusNames[s] }

// Refused says whether the fragment must not be forwarded.
func (s Status) Refused() bool { return s >= Malformed }

// Stats count what happened inside of a Table.
type Stats struct {
	Timeouts uint64 // datagrams that were not complete in time
	Overlaps uint64 // fragments with bytes that an earlier one had, too
}

// key names a datagram: RFC 791, 3.2 and RFC 8200, 4.5, within its network. For
// IPv6 proto is 0: fragments may differ in it, and the first one's counts.
type key struct {
	src, dst packet.Addr
	id       uint32
	vlan     [packet.MaxVLANs]uint16
	proto    uint8
	version  uint8
}

func keyOf(p *packet.Packet) key {
	k := key{src: p.Src, dst: p.Dst, id: p.IPID, vlan: p.VLAN, proto: p.Proto, version: p.IPVersion}
	if p.IPVersion == 6 {
		k.proto = 0
	}
	return k
}

// Table holds the datagrams that are not complete. It must not be used by two
// goroutines at once.
type Table struct {
	opt      Options
	trackers map[key]*tracker
	oldest   *tracker // ends of the list by age
	newest   *tracker
	spare    []*tracker
	used     int     // bytes of Options.Memory
	order    []*frag // scratch
	stats    Stats
}

// spareTrackers is how many trackers are kept for reuse with their buffers, if
// those have room for no more than spareFrags fragments.
const (
	spareTrackers = 64
	spareFrags    = 64
)

// New returns an empty table.
func New(opt Options) *Table {
	if opt.Timeout <= 0 {
		opt.Timeout = time.Minute
	}
	if opt.Datagrams <= 0 {
		opt.Datagrams = 65535
	}
	if opt.Memory <= 0 {
		opt.Memory = 32 << 20
	}
	if opt.Fragments <= 0 {
		opt.Fragments = 8192
	}
	return &Table{opt: opt, trackers: map[key]*tracker{}}
}

// Len returns the number of datagrams that the table holds, condemned ones too.
func (t *Table) Len() int { return len(t.trackers) }

// Stats returns the counts since New.
func (t *Table) Stats() Stats { return t.stats }

// Insert takes a fragment, p, which must be a packet with an IP header and with
// Fragment set, at now in nanoseconds of a clock that does not step back. When it completes
// its datagram, the packet that its sender had before it was cut is appended to buf: link is where its
// IP header begins, in front of which is the link-layer header of the fragment that begins the datagram.
// p is not kept. Events that Suricata has of fragments are added to it.
//
// Suricata takes what no honest host sends, and goes on where it can take no more. strict
// refuses such fragments, because a datagram that is not rebuilt here could be rebuilt by its receiver.
func (t *Table) Insert(p *packet.Packet, now int64, strict bool, buf []byte) (whole []byte, link int, status Status) {
	t.Expire(now)
	k := keyOf(p)
	tr := t.trackers[k]
	if tr != nil && tr.condemned {
		return nil, 0, Condemned
	}
	f, ok := parse(p)
	if !ok {
		return nil, 0, Malformed
	}
	length := f.to
	if p.IPVersion == 4 {
		length += 20
	}
	if length > maxDatagram {
		note(p, packet.EventIPv4FragmentPacketTooLarge, packet.EventIPv6FragmentPacketTooLarge)
		return nil, 0, Oversize
	}
	if tr == nil {
		if len(t.trackers) >= t.opt.Datagrams || t.used+trackerCost > t.opt.Memory {
			note(p, packet.EventIPv4FragmentIgnored, packet.EventIPv6FragmentIgnored)
			return nil, 0, Full
		}
		tr = t.add(k, now)
	}
	status = Incomplete
	if strict {
		status = tr.sound(&f)
	}
	if status == Incomplete {
		status = t.insert(p, tr, &f)
	}
	if status != Incomplete || !tr.full() {
		if len(tr.frags) == 0 {
			t.remove(tr)
		}
		return nil, 0, status
	}
	whole, link, status = t.appendWhole(buf, tr)
	switch {
	case status == Complete:
	case strict: // the receiver may judge otherwise
		t.remove(tr)
		t.Condemn(p, now)
		return nil, 0, status
	case status == Ambiguous:
		return nil, 0, Incomplete
	}
	t.remove(tr)
	return whole, link, status
}

// note adds the event of the packet's version of IP.
func note(p *packet.Packet, v4, v6 packet.Event) {
	if p.IPVersion == 6 {
		v4 = v6
	}
	p.Events.Add(v4)
}

// Condemn has the table refuse all fragments of the datagram that p belongs to, and that is
// complete, for as long as Options.Timeout: the receiver holds those that were forwarded, and the one that
// was not must not reach it when it is sent again.
func (t *Table) Condemn(p *packet.Packet, now int64) {
	if k := keyOf(p); t.trackers[k] == nil {
		t.add(k, now).condemned = true
	}
}

// Expire gives up datagrams whose time is over at now.
func (t *Table) Expire(now int64) {
	for tr := t.oldest; tr != nil && now-tr.since >= int64(t.opt.Timeout); tr = t.oldest {
		if !tr.condemned {
			t.stats.Timeouts++
		}
		t.remove(tr)
	}
}
