package stream

import "github.com/sluicefw/sluice/engine/packet"

const (
	// maxStamps and maxAnswers are how many different SYNs and SYN-ACKs are kept
	// of a connection besides the first: stream.max-syn-queued and
	// stream.max-synack-queued of Suricata.
	maxStamps  = 10
	maxAnswers = 5

	// maxHandshakes is how many connections can have some at once.
	maxHandshakes = 4096
)

// Handshakes keeps what few connections need: SYNs and SYN-ACKs that differ
// from the first ones, until an answer shows which of them counts.
type Handshakes struct {
	open map[*Tracker]*handshake
	free []*handshake
}

type handshake struct {
	stamps  [maxStamps]uint32
	answers [maxAnswers]answerFields
	nstamps uint8
	n       uint8
}

// NewHandshakes returns an empty store.
func NewHandshakes() *Handshakes { return &Handshakes{open: map[*Tracker]*handshake{}} }

// of returns what is kept of a connection, making room at first, or nil when
// there is none.
func (h *Handshakes) of(t *Tracker) *handshake {
	if t.has(queued) {
		return h.open[t]
	}
	var s *handshake
	if n := len(h.free); n > 0 {
		s = h.free[n-1]
		h.free = h.free[:n-1]
	} else if len(h.open) < maxHandshakes {
		s = new(handshake)
	} else {
		return nil
	}
	*s = handshake{}
	h.open[t] = s
	t.flags |= queued
	return s
}

func (h *Handshakes) release(t *Tracker) {
	h.free = append(h.free, h.open[t])
	delete(h.open, t)
}

// addStamp keeps the timestamp of a further SYN. It reports false when there is
// no room for it.
func (h *Handshakes) addStamp(t *Tracker, stamp uint32, has bool) bool {
	s := h.of(t)
	if s == nil {
		return false
	}
	for _, have := range s.stamps[:s.nstamps] {
		if have == stamp {
			return true
		}
	}
	if s.nstamps == maxStamps {
		return false
	}
	s.stamps[s.nstamps] = stamp
	s.nstamps++
	return true
}

// hasStamp says whether a further SYN had the timestamp.
func (h *Handshakes) hasStamp(t *Tracker, stamp uint32) bool {
	s := h.open[t]
	for _, have := range s.stamps[:s.nstamps] {
		if have == stamp {
			return true
		}
	}
	return false
}

// addAnswer keeps a further SYN-ACK. It reports false when there is no room for it.
func (h *Handshakes) addAnswer(t *Tracker, f answerFields) bool {
	s := h.of(t)
	if s == nil {
		return false
	}
	for _, have := range s.answers[:s.n] {
		if have == f {
			return true
		}
	}
	if s.n == maxAnswers {
		return false
	}
	s.answers[s.n] = f
	s.n++
	return true
}

// answer returns the further SYN-ACK that ack acknowledges.
func (h *Handshakes) answer(t *Tracker, ack packet.Seq) (answerFields, bool) {
	s := h.open[t]
	for _, f := range s.answers[:s.n] {
		if f.seq+1 == ack {
			return f, true
		}
	}
	return answerFields{}, false
}
