package oracle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// policies are the kinds of hosts by Suricata's names. The policy "last" is nobody's.
var policies = map[string]defrag.Policy{
	"windows": defrag.Windows, "old-solaris": defrag.First, "bsd": defrag.BSD, "bsd-right": defrag.BSDRight,
	"linux": defrag.Linux, "solaris": defrag.Solaris,
}

// datagram is a datagram cut into fragments that overlap. Every fragment is filled with a
// character of its own.
type datagram struct {
	frags []string // for people
	ip    [][]byte
}

// randomDatagram cuts one of a few units of 8 bytes. number is in its identification and source.
func randomDatagram(r *rand.Rand, version, number int) datagram {
	var d datagram
	src, dst := netip.AddrFrom4([4]byte{10, 1, byte(number >> 8), byte(number)}).String(), "10.9.9.9"
	if version == 6 {
		src, dst = fmt.Sprintf("2001:db8::%x", number), "2001:db8:9::9"
	}
	add := func(from, units int, last bool) {
		c := byte('A' + len(d.frags))
		payload := bytes.Repeat([]byte{c}, units*8)
		word := uint16(from * 8)
		if last {
			payload = payload[:len(payload)-r.IntN(8)]
		} else {
			word |= 1
		}
		d.frags = append(d.frags, fmt.Sprintf("%c %d-%d", c, from, from+units))
		if version == 6 {
			head := append([]byte{253, 0}, be(word, 0, uint16(number))...)
			d.ip = append(d.ip, packettest.IP(src, dst, 44, append(head, payload...)))
			return
		}
		ip := packettest.IP(src, dst, 253, payload, packettest.ID(uint16(number)))
		binary.BigEndian.PutUint16(ip[6:], word/8|word&1<<13)
		d.ip = append(d.ip, ip)
	}
	size := 2 + r.IntN(6)
	var order []func()
	for range 1 + r.IntN(5) {
		from := r.IntN(size)
		units := 1 + r.IntN(min(3, size-from))
		order = append(order, func() { add(from, units, false) })
	}
	order = append(order, func() { add(size, 1, true) })
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for at := range size { // what may still be missing
		order = append(order, func() { add(at, 1, false) })
	}
	for _, f := range order {
		f()
	}
	return d
}

// rebuilt is what a datagram comes to: the packets that were put together, with the number of
// the fragment that completed each, and which fragments overlapped.
type rebuilt struct{ whole, overlaps []string }

func (r rebuilt) String() string {
	return strings.Join(r.whole, ", ") + "; overlaps " + strings.Join(r.overlaps, " ")
}

// payload makes eight equal characters one.
func payload(ip []byte) string {
	header := 20
	if ip[0]>>4 == 6 {
		header = 40
	}
	var b []byte
	for i := header; i < len(ip); i += 8 {
		b = append(b, ip[i])
	}
	return fmt.Sprintf("%s (%d bytes)", b, len(ip)-header)
}

func (d *datagram) rebuild(policy defrag.Policy) rebuilt {
	var out rebuilt
	table := defrag.New(defrag.Options{Policy: policy})
	for i, ip := range d.ip {
		var p packet.Packet
		p.Decode(packet.LinkRaw, ip, packet.Options{})
		whole, _, status := table.Insert(&p, 0, false, nil)
		if status == defrag.Complete {
			out.whole = append(out.whole, fmt.Sprintf("%d %s", i, payload(whole)))
		}
		if p.Events.Has(packet.EventIPv4FragmentOverlap) || p.Events.Has(packet.EventIPv6FragmentOverlap) {
			out.overlaps = append(out.overlaps, fmt.Sprint(i))
		}
	}
	return out
}

// TestDefrag compares the datagrams that are put together from overlapping fragments, for each
// kind of host. SLUICE_ORACLE=1 runs it.
func TestDefrag(t *testing.T) {
	suricata := needSuricata(t)
	_, r := seeded(t)
	const number = 400
	for name, policy := range policies {
		for version, net := range map[int]string{4: "0.0.0.0/0", 6: `"::/0"`} {
			datagrams := make([]datagram, number)
			var frames [][]byte
			var of [][2]int // the datagram and fragment of each frame
			for i := range datagrams {
				datagrams[i] = randomDatagram(r, version, i+1)
				for j, ip := range datagrams[i].ip {
					frames, of = append(frames, ip), append(of, [2]int{i, j})
				}
			}
			theirs := make([]rebuilt, number)
			decoderRecords(t, suricata, name+": ["+net+"]", packet.LinkRaw, frames, func(frame int, rec *record) {
				d, n := &theirs[of[frame][0]], of[frame][1]
				switch {
				case rec.Type == "alert" && rec.From == "defrag":
					d.whole = append(d.whole, fmt.Sprintf("%d %s", n, payload(rec.Packet)))
				case strings.HasSuffix(rec.Anomaly.Event, "frag_overlap"):
					d.overlaps = append(d.overlaps, fmt.Sprint(n))
				}
			})
			differ := 0
			for i := range datagrams {
				ours := datagrams[i].rebuild(policy)
				if ours.String() == theirs[i].String() {
					continue
				}
				if differ++; differ <= 2 {
					t.Logf("%s, IPv%d, %s\nSuricata: %s\nSluice:   %s", name, version, strings.Join(datagrams[i].frags, ", "), theirs[i], ours)
				}
			}
			t.Logf("%s, IPv%d: %d of %d datagrams are put together alike", name, version, number-differ, number)
			// Where three fragments overlap Suricata's BSD leaves holes that it fills with what
			// was in its memory.
			if allowed := map[defrag.Policy]int{defrag.BSD: number / 25}[policy]; differ > allowed {
				t.Errorf("%s, IPv%d: %d differ, of which %d may", name, version, differ, allowed)
			}
		}
	}
}
