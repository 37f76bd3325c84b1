package eve

import "strings"

// Counter is one number of a Stats record. Dots in Name nest objects:
// "decoder.pkts" is {"decoder":{"pkts":...}}.
type Counter struct {
	Name  string
	Value uint64
}

// Stats is the engine's counters at one moment.
type Stats struct {
	Time   int64 // nanoseconds since 1970
	Uptime int64 // whole seconds

	// Counters stand with equal prefixes side by side (sorted order does), and
	// no name continues another one: not both "tcp" and "tcp.syn". They need no
	// escapes in JSON.
	Counters []Counter
}

// AppendStats appends s as an EVE stats event.
func AppendStats(dst []byte, s *Stats) []byte {
	o := start(dst)
	o.time("timestamp", s.Time)
	o.str("event_type", "stats")
	o.open("stats")
	o.int("uptime", s.Uptime)
	group := "" // the objects that are open, as a prefix of names: "" or "a.b."
	for _, c := range s.Counters {
		for !strings.HasPrefix(c.Name, group) {
			o.close()
			group = group[:strings.LastIndexByte(group[:len(group)-1], '.')+1]
		}
		for {
			part, _, nested := strings.Cut(c.Name[len(group):], ".")
			if !nested {
				o.uint(part, c.Value)
				break
			}
			o.open(part)
			group = c.Name[:len(group)+len(part)+1]
		}
	}
	for range strings.Count(group, ".") {
		o.close()
	}
	o.close()
	return o.end()
}
