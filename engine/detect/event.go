package detect

import (
	"fmt"
	"strings"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// newEventCheck compiles decode-event and its like.
func newEventCheck(name rule.Event) (check, error) {
	var event packet.Event
	var ok bool
	if rest, is := strings.CutPrefix(string(name), "decoder."); is {
		event, ok = packet.DecoderEvent(rest)
	} else if rest, is := strings.CutPrefix(string(name), "stream."); is {
		event, ok = packet.StreamEvent(rest)
	}
	if !ok {
		return nil, fmt.Errorf("unknown event %q; an event is one such as decoder.ipv4.trunc_pkt or stream.rst_with_data, of which decode-event and stream-event leave out the first word", name)
	}
	return func(in *Input) bool { return in.Packet.Events.Has(event) }, nil
}
