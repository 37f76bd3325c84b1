package detect

import (
	"fmt"
	"strings"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// newEventCheck compiles decode-event and its like.
func newEventCheck(name rule.Event) (check, error) {
	rest, isDecoder := strings.CutPrefix(string(name), "decoder.")
	find := packet.DecoderEvent
	if !isDecoder {
		rest, find = strings.TrimPrefix(string(name), "stream."), packet.StreamEvent
	}
	event, ok := find(rest)
	if !ok || event.String() != string(name) {
		return nil, fmt.Errorf("unknown event %q; an event is one such as decoder.ipv4.trunc_pkt or stream.rst_with_data, of which decode-event and stream-event leave out the first word", name)
	}
	return func(in *Input) bool { return in.Packet.Events.Has(event) }, nil
}
