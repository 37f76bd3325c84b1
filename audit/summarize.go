package audit

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// Bounds of what a record repeats of a request or an answer: together some
// 256 KiB, which is what CloudTrail takes.
const (
	maxElements = 100  // of one list or map
	maxValues   = 2000 // in all
	maxText     = 64 << 10
)

// summarizer turns structures of the API into what a record says of them.
type summarizer struct {
	values int // seen so far
	text   int // bytes of strings so far
}

// summarize returns v, a pointer to a structure of the API, as a value for JSON:
// members named as CloudTrail does (the first letter in lower case), nothing
// that is absent, and what is large cut, with a word on it.
func summarize(v any) any {
	var s summarizer
	return s.value(reflect.ValueOf(v))
}

const leftOut = "(left out: the record would be too large)"

func (s *summarizer) value(v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if s.values++; s.values > maxValues || s.text > maxText {
		return leftOut
	}
	if t, ok := v.Interface().(wire.Time); ok {
		return t
	}
	switch v.Kind() {
	case reflect.Struct:
		return s.structure(v)
	case reflect.Map:
		return s.mapping(v)
	case reflect.Slice:
		return s.list(v)
	case reflect.String:
		return s.string(v.String())
	}
	return v.Interface()
}

func (s *summarizer) string(text string) string {
	text = strings.ToValidUTF8(cut(text), "\uFFFD")
	s.text += len(text)
	return text
}

func (s *summarizer) structure(v reflect.Value) any {
	out := make(map[string]any)
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Slice:
			if f.IsNil() {
				continue
			}
		}
		name := v.Type().Field(i).Name
		out[strings.ToLower(name[:1])+name[1:]] = s.value(f)
	}
	return out
}

func (s *summarizer) mapping(v reflect.Value) any {
	byName := make(map[string]reflect.Value, v.Len())
	for it := v.MapRange(); it.Next(); {
		byName[it.Key().String()] = it.Value()
	}
	out := make(map[string]any)
	for i, name := range slices.Sorted(maps.Keys(byName)) {
		if i == maxElements {
			out["..."] = more(v.Len())
			break
		}
		out[s.string(name)] = s.value(byName[name])
	}
	return out
}

func (s *summarizer) list(v reflect.Value) any {
	out := []any{}
	for i := range v.Len() {
		if i == maxElements || s.values > maxValues || s.text > maxText {
			return append(out, more(v.Len()))
		}
		out = append(out, s.value(v.Index(i)))
	}
	return out
}

func more(n int) string { return fmt.Sprintf("... (cut: %d elements)", n) }
