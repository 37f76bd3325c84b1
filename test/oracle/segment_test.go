package oracle

import (
	"fmt"
	"strings"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// segment is one TCP packet of a conversation. Its numbers count from the first
// numbers of its own side and of the other, so that they read well.
type segment struct {
	server  bool // it comes from the server
	flags   uint8
	seq     int
	ack     int // meaningless without ACK, unless wild
	window  int
	data    string
	options []byte
	urgent  int
	wild    bool // the number of the ACK is there without the flag
}

const flagLetters = "FSRPAUEC"

// String is the packet in a line, such as "c SA seq 0 ack 1 win 1000 3 bytes".
func (s segment) String() string {
	var b strings.Builder
	b.WriteString(map[bool]string{false: "c ", true: "s "}[s.server])
	for i, letter := range flagLetters {
		if s.flags&(1<<i) != 0 {
			b.WriteRune(letter)
		}
	}
	fmt.Fprintf(&b, " seq %d", s.seq)
	if s.flags&packet.ACK != 0 || s.wild {
		fmt.Fprintf(&b, " ack %d", s.ack)
	}
	fmt.Fprintf(&b, " win %d", s.window)
	if s.data != "" {
		if len(s.data) > 16 {
			fmt.Fprintf(&b, " %q+%d", s.data[:6], len(s.data)-6)
		} else {
			fmt.Fprintf(&b, " %q", s.data)
		}
	}
	if s.urgent > 0 {
		fmt.Fprintf(&b, " urgent %d", s.urgent)
	}
	if len(s.options) > 0 {
		fmt.Fprintf(&b, " options %x", s.options)
	}
	return b.String()
}

// conversation is the packets between two ends.
type conversation struct {
	client, server string // "10.0.0.1:1000"
	first          [2]uint32
	segments       []segment
}

// packet builds one of the conversation's packets.
func (c *conversation) packet(s segment) []byte {
	from, to, seq, ack := c.client, c.server, c.first[0], c.first[1]
	if s.server {
		from, to, seq, ack = to, from, ack, seq
	}
	ack += uint32(s.ack)
	if s.flags&packet.ACK == 0 && !s.wild {
		ack = 0
	}
	opts := []packettest.Option{packettest.Window(uint16(s.window)), packettest.Urgent(uint16(s.urgent))}
	if len(s.options) > 0 {
		opts = append(opts, packettest.TCPOptions(s.options...))
	}
	return packettest.TCP(from, to, s.flags, seq+uint32(s.seq), ack, []byte(s.data), opts...)
}
