package rule

import "strings"

// Event is the argument of decode-event, stream-event and engine-event: the
// name of a packet event as records have it, in lower case, such as
// "decoder.ipv4.trunc_pkt" or "stream.rst_with_data".
type Event string

// eventPrefixes are what the keywords leave out of an event's name.
var eventPrefixes = map[string]string{"decode-event": "decoder.", "stream-event": "stream.", "engine-event": ""}

func parseEvent(keyword, value string) (Event, *fault) {
	name := strings.ToLower(value)
	if i := strings.IndexAny(name, space); i >= 0 {
		return "", faultf(i, "%s takes one event, without white space in its name", keyword)
	}
	return Event(eventPrefixes[keyword] + name), nil
}
