package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// shape holds the constraints of one shape of the model.
type shape struct {
	constraints []constraint // in the order in which AWS names them
	elem        string       // shape of list elements and map values
	key         string       // shape of map keys
	members     []member     // of a structure, in the order of the Go fields
	newer       []string     // the Go fields of members that AWS has added since
}

type member struct {
	name     string // as messages write it, the first letter in lower case
	shape    string
	required bool
}

// taken are the newer members that the service knows. The others are refused,
// rather than that a request does less, or more, than it says.
var taken = []string{"AvailabilityZoneId"}

// Bounds of the message: a request can break the model in as many places as it
// has bytes. All violations are counted, the first ones are shown.
const (
	maxShown    = 50
	maxRendered = 200 // characters of an offending value, elements of a list
)

// Validate checks in, a pointer to o's request structure, against the
// constraints of the model: required members, lengths, ranges, patterns and
// enumerations. The error is a ValidationException that counts all violations
// and lists the first ones, in AWS's words, or else an InvalidRequestException
// that names a newer member that nobody would act on.
func (o *Operation) Validate(in any) error {
	var v violations
	request := reflect.ValueOf(in).Elem()
	v.structure(request, shapes[request.Type().Name()]) // not o.Name, which two prefixes may share
	switch {
	case v.count == 0 && v.unknown != "":
		return InvalidRequestException("%s is unsupported, context: %s", v.unknown[strings.LastIndexByte(v.unknown, '.')+1:], v.unknown)
	case v.count == 0:
		return nil
	case v.count == 1:
		return ValidationException("1 validation error detected: %s", v.shown[0])
	}
	return ValidationException("%d validation errors detected: %s", v.count, strings.Join(v.shown, "; "))
}

// violations collects what is wrong with a request.
type violations struct {
	path  []string // to the value that is being checked
	count int
	shown []string

	unknown string // the first newer member that is not taken, "" if there is none
}

func (v *violations) push(steps ...string) { v.path = append(v.path, steps...) }
func (v *violations) pop(steps int)        { v.path = v.path[:len(v.path)-steps] }

// add notes that the value at v.path breaks a constraint; val is invalid when
// there is none.
func (v *violations) add(val reflect.Value, constraint string) {
	v.count++
	if v.count > maxShown {
		return
	}
	value := "null"
	if val.IsValid() {
		value = "'" + render(val) + "'"
	}
	v.shown = append(v.shown, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", value, strings.Join(v.path, "."), constraint))
}

// structure checks the members of a structure.
func (v *violations) structure(val reflect.Value, s *shape) {
	for i, m := range s.members {
		v.push(m.name)
		field := val.Field(i)
		switch {
		case !field.IsNil():
			v.value(reflect.Indirect(field), shapes[m.shape])
		case m.required:
			v.add(reflect.Value{}, "Member must not be null")
		}
		v.pop(1)
	}
	for _, name := range s.newer {
		field := val.FieldByName(name)
		if v.unknown == "" && !field.IsNil() && !slices.Contains(taken, name) && !isFalse(reflect.Indirect(field)) {
			v.push(name)
			v.unknown = fieldPath(v.path)
			v.pop(1)
		}
	}
}

// isFalse reports whether a value is the boolean that asks for nothing.
func isFalse(val reflect.Value) bool { return val.Kind() == reflect.Bool && !val.Bool() }

// fieldPath writes a path as refusals beyond the model have it: with the
// members' own capitals, and indices from 0.
func fieldPath(path []string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		step := path[i]
		if i+1 < len(path) && path[i+1] == "member" { // of a list or map
			i++
			if n, err := strconv.Atoi(step); err == nil {
				step = "[" + strconv.Itoa(n-1) + "]"
			} else {
				step = "." + step
			}
			b.WriteString(step)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strings.ToUpper(step[:1]) + step[1:])
	}
	return b.String()
}

// value checks a member that is present.
func (v *violations) value(val reflect.Value, s *shape) {
	for _, c := range s.constraints {
		if !c.holds(val) {
			v.add(val, c.text)
		}
	}
	switch {
	case s.members != nil:
		v.structure(val, s)
	case s.key != "":
		v.mapping(val, shapes[s.key], shapes[s.elem])
	case s.elem != "":
		v.list(val, shapes[s.elem])
	}
}

// list checks the elements of a list. AWS: structures are told of one by one;
// where scalars are wrong, the list as a whole is shown with all constraints
// of its elements.
func (v *violations) list(val reflect.Value, elem *shape) {
	wrong := false
	for i := range val.Len() {
		if elem.members == nil {
			wrong = wrong || !holdAll(elem.constraints, val.Index(i))
			continue
		}
		v.push(strconv.Itoa(i+1), "member")
		v.structure(val.Index(i), elem)
		v.pop(2)
	}
	if wrong {
		v.add(val, "Member must satisfy constraint: "+texts(elem.constraints))
	}
}

// mapping checks the entries of a map, in AWS's words as list does.
func (v *violations) mapping(val reflect.Value, key, elem *shape) {
	wrongKey, wrongValue := false, false
	for _, k := range sortedKeys(val) {
		wrongKey = wrongKey || !holdAll(key.constraints, k)
		if elem.members == nil {
			wrongValue = wrongValue || !holdAll(elem.constraints, val.MapIndex(k))
			continue
		}
		v.push(clip(k.String()), "member")
		v.structure(val.MapIndex(k), elem)
		v.pop(2)
	}
	if wrongKey {
		v.add(val, "Map keys must satisfy constraint: "+texts(key.constraints))
	}
	if wrongValue {
		v.add(val, "Map value must satisfy constraint: "+texts(elem.constraints))
	}
}

// constraint is one condition on a value and AWS's wording of it.
type constraint struct {
	text  string
	holds func(reflect.Value) bool
}

func minLength(n int) constraint {
	return constraint{
		fmt.Sprintf("Member must have length greater than or equal to %d", n),
		func(val reflect.Value) bool { return length(val) >= n },
	}
}

func maxLength(n int) constraint {
	return constraint{
		fmt.Sprintf("Member must have length less than or equal to %d", n),
		func(val reflect.Value) bool { return length(val) <= n },
	}
}

// length counts characters, elements or entries.
func length(val reflect.Value) int {
	if val.Kind() == reflect.String {
		return utf8.RuneCountInString(val.String())
	}
	return val.Len()
}

func minValue(n int64) constraint {
	return constraint{
		fmt.Sprintf("Member must have value greater than or equal to %d", n),
		func(val reflect.Value) bool { return val.Int() >= n },
	}
}

func maxValue(n int64) constraint {
	return constraint{
		fmt.Sprintf("Member must have value less than or equal to %d", n),
		func(val reflect.Value) bool { return val.Int() <= n },
	}
}

// pattern compiles expr when it is first needed. As in the model's own language,
// it may match anywhere unless it has anchors.
func pattern(expr string) constraint {
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
	return constraint{
		"Member must satisfy regular expression pattern: " + expr,
		func(val reflect.Value) bool { return compiled().MatchString(val.String()) },
	}
}

func enum(values ...string) constraint {
	return constraint{
		"Member must satisfy enum value set: [" + strings.Join(values, ", ") + "]",
		func(val reflect.Value) bool { return slices.Contains(values, val.String()) },
	}
}

func holdAll(constraints []constraint, val reflect.Value) bool {
	return !slices.ContainsFunc(constraints, func(c constraint) bool { return !c.holds(val) })
}

func texts(constraints []constraint) string {
	all := make([]string, len(constraints))
	for i, c := range constraints {
		all[i] = c.text
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// render prints an offending value the way AWS does: lists as [a, b], maps as
// {k=v}; cut short where it is long.
func render(val reflect.Value) string {
	switch val.Kind() {
	case reflect.Slice:
		var parts []string
		for i := range min(val.Len(), maxRendered) {
			parts = append(parts, render(val.Index(i)))
		}
		return clip("[" + strings.Join(parts, ", ") + "]")
	case reflect.Map:
		var parts []string
		for _, k := range sortedKeys(val)[:min(val.Len(), maxRendered)] {
			parts = append(parts, clip(k.String())+"="+render(val.MapIndex(k)))
		}
		return clip("{" + strings.Join(parts, ", ") + "}")
	case reflect.Struct:
		return "{...}"
	case reflect.String:
		return clip(val.String())
	}
	return fmt.Sprint(val)
}

// clip cuts s after maxRendered characters.
func clip(s string) string {
	n := 0
	for i := range s {
		if n == maxRendered {
			return s[:i] + "..."
		}
		n++
	}
	return s
}

func sortedKeys(m reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(m.MapKeys()), func(a, b reflect.Value) int {
		return strings.Compare(a.String(), b.String())
	})
}
