package rule

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// Setting is the argument of http2.settings: a parameter of HTTP/2 (RFC 9113, 6.5.2), and which values of it.
type Setting struct {
	ID    uint16
	Value Numbers
}

var settings = map[string]uint16{
	"SETTINGS_HEADER_TABLE_SIZE": 1, "SETTINGS_ENABLE_PUSH": 2, "SETTINGS_MAX_CONCURRENT_STREAMS": 3,
	"SETTINGS_INITIAL_WINDOW_SIZE": 4, "SETTINGS_MAX_FRAME_SIZE": 5, "SETTINGS_MAX_HEADER_LIST_SIZE": 6,
}

// parseSetting reads a name, and what its value is compared with if anything follows.
func parseSetting(value string) (*Setting, *fault) {
	name, rest := value, ""
	if i := strings.IndexAny(value, " <>="); i >= 0 {
		name, rest = value[:i], strings.Trim(value[i:], space)
	}
	id, ok := settings[strings.ToUpper(name)]
	if !ok {
		return nil, faultf(0, "unknown setting %q; use one of %s", clip(name), strings.Join(slices.Sorted(maps.Keys(settings)), ", "))
	}
	s := &Setting{ID: id, Value: Numbers{To: math.MaxUint64}}
	if rest == "" {
		return s, nil
	}
	var f *fault
	s.Value, f = compareNumbers("http2.settings", rest, math.MaxUint32)
	return s, f.shift(len(value) - len(rest))
}
