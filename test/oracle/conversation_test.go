package oracle

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/sluicefw/sluice/engine/packet"
)

// talk writes a conversation that goes as it should.
type talk struct {
	r      *rand.Rand
	next   [2]int
	scale  [2]int // what the sides' windows are divided by
	stamps bool
	stamp  [2]uint32
	window [2]int // in bytes
	out    []segment
}

func (t *talk) say(server bool, flags uint8, data string) {
	me := 0
	if server {
		me = 1
	}
	s := segment{server: server, flags: flags, seq: t.next[me], ack: t.next[1-me], data: data, window: min(t.window[me], 65535)}
	if flags&packet.SYN == 0 {
		s.window = min(t.window[me]>>t.scale[me], 65535)
	} else if t.scale[me] > 0 {
		s.options = append(s.options, 3, 3, byte(t.scale[me]))
	}
	if t.stamps {
		t.stamp[me] += uint32(t.r.IntN(3))
		s.options = append(s.options, 8, 10)
		s.options = binary.BigEndian.AppendUint32(s.options, t.stamp[me])
		echo := t.stamp[1-me]
		if flags&packet.ACK == 0 {
			echo = 0
		}
		s.options = binary.BigEndian.AppendUint32(s.options, echo)
	}
	t.next[me] += len(data) + int(flags>>1&1) + int(flags&1)
	t.out = append(t.out, s)
}

// bytesOf are n bytes of a stream from a place on: those of different streams
// differ, and those of one are the same wherever they are cut.
func bytesOf(server bool, at, n int) string {
	b := make([]byte, n)
	for i := range b {
		x := at + i
		b[i] = byte('a' + (x+x/26)%26)
		if server {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// otherBytes are n bytes that are in no stream.
func otherBytes(at, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + (at+i)%10)
	}
	return string(b)
}

// randomConversation makes a conversation and then damages it.
func randomConversation(r *rand.Rand, i int) conversation {
	c := conversation{
		client: fmt.Sprintf("10.%d.%d.1:%d", i/250, i%250, 1024+i%60000), server: "192.0.2.1:7777",
		first: [2]uint32{r.Uint32(), r.Uint32()},
	}
	if r.IntN(10) == 0 {
		c.first[r.IntN(2)] = ^uint32(0) - uint32(r.IntN(100))
	}
	t := &talk{r: r, stamps: r.IntN(4) == 0, stamp: [2]uint32{100 + uint32(r.IntN(100)), 1000}, window: [2]int{100 << r.IntN(9), 100 << r.IntN(9)}}
	if t.stamps && r.IntN(8) == 0 {
		t.stamp[r.IntN(2)] = 0
	}
	if r.IntN(4) == 0 {
		t.scale = [2]int{1 + r.IntN(7), 1 + r.IntN(7)}
	}
	t.say(false, packet.SYN, "")
	t.say(true, packet.SYN|packet.ACK, "")
	t.say(false, packet.ACK, "")
	for range r.IntN(6) {
		server := r.IntN(2) == 0
		for range 1 + r.IntN(2) {
			me := 0
			if server {
				me = 1
			}
			t.say(server, packet.PSH|packet.ACK, bytesOf(server, t.next[me], 1+r.IntN(min(60, t.window[1-me]/3))))
		}
		if r.IntN(3) > 0 {
			t.say(!server, packet.ACK, "")
		}
	}
	first := r.IntN(2) == 0
	switch r.IntN(6) {
	case 0:
		t.say(first, packet.RST|packet.ACK, "")
	case 1:
		t.say(first, packet.RST, "")
	case 2, 3, 4:
		t.say(first, packet.FIN|packet.ACK, "")
		if r.IntN(2) == 0 {
			t.say(!first, packet.ACK, "")
		}
		if r.IntN(3) == 0 {
			t.say(!first, packet.ACK, bytesOf(!first, 0, 3))
		}
		t.say(!first, packet.FIN|packet.ACK, "")
		t.say(first, packet.ACK, "")
	}
	c.segments = t.out
	for range r.IntN(5) {
		c.segments = damage(r, c.segments)
	}
	return c
}

// damage changes one thing.
func damage(r *rand.Rand, segments []segment) []segment {
	if len(segments) == 0 {
		return segments
	}
	at := r.IntN(len(segments))
	s := &segments[at]
	delta := func() int {
		return pick(r, []int{-1, 1, -2, 2, 5, -5, 20, -20, 100, -100, 1000, -1000, 30000, -30000, 100000})
	}
	switch r.IntN(16) {
	case 0: // lost
		return slices.Delete(segments, at, at+1)
	case 1, 2: // again, later
		to := at + 1 + r.IntN(len(segments)-at)
		return slices.Insert(segments, to, *s)
	case 3: // out of order
		to := r.IntN(len(segments))
		segments[at], segments[to] = segments[to], segments[at]
	case 4:
		s.seq += delta()
	case 5:
		s.ack += delta()
	case 6: // forged
		f := *s
		f.options = nil
		if r.IntN(2) == 0 {
			f.options = s.options
		}
		f.flags = pick(r, []uint8{packet.RST, packet.RST | packet.ACK, packet.SYN, packet.SYN | packet.ACK, packet.FIN, packet.FIN | packet.ACK, packet.ACK, packet.PSH, packet.FIN | packet.SYN, 0, packet.URG | packet.ACK})
		if r.IntN(2) == 0 {
			f.data = ""
		}
		if r.IntN(3) == 0 {
			f.seq += delta()
		}
		if r.IntN(3) == 0 {
			f.ack += delta()
		}
		return slices.Insert(segments, at+r.IntN(2), f)
	case 7:
		s.window = pick(r, []int{0, 1, 10, 100, 1000, 65535})
	case 8:
		s.flags = uint8(r.IntN(64))
	case 9: // the other way
		s.server = !s.server
	case 10: // a bit of the stream again, or other bytes in its place
		f := *s
		back := 1 + r.IntN(30)
		f.seq = max(1, f.seq-back)
		f.data = bytesOf(f.server, f.seq, 1+r.IntN(2*back))
		if r.IntN(2) == 0 {
			f.data = otherBytes(f.seq, len(f.data))
		}
		return slices.Insert(segments, at+r.IntN(2), f)
	case 11: // with other numbers
		s.seq += r.IntN(100) - 50
	case 12: // stamps
		if len(s.options) >= 10 {
			s.options = slices.Clone(s.options)
			s.options[len(s.options)-5] += byte(r.IntN(20) - 10)
		}
	case 13:
		s.options = nil
	case 14:
		s.wild = true
	case 15: // keep-alive or probe
		f := *s
		f.flags = packet.ACK
		f.seq += r.IntN(3) - 1
		f.data = bytesOf(f.server, f.seq, r.IntN(2))
		return slices.Insert(segments, at+1, f)
	}
	return segments
}
