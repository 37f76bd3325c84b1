package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// Operation describes one operation of the API.
type Operation struct {
	Prefix string   // target prefix, as in X-Amz-Target: <Prefix>.<Name>
	Name   string   // as in the API reference
	Result string   // the response member that spans pages; "" when not paginated
	Errors []string // modeled exceptions

	NewRequest  func() any // allocates a *<Name>Request
	NewResponse func() any // allocates a *<Name>Response
}

// Target is the operation's X-Amz-Target header.
func (o *Operation) Target() string { return o.Prefix + "." + o.Name }

// byTarget and byName index operations. A name that two prefixes have is the
// AWS operation's.
var byTarget, byName = func() (target, name map[string]*Operation) {
	target, name = make(map[string]*Operation), make(map[string]*Operation)
	for i := range operations {
		op := &operations[i]
		target[op.Target()] = op
		if name[op.Name] == nil {
			name[op.Name] = op
		}
	}
	return target, name
}()

// Lookup returns the operation of an X-Amz-Target header, or nil.
func Lookup(target string) *Operation { return byTarget[target] }

// Named returns the operation of that name, or nil.
func Named(name string) *Operation { return byName[name] }

// Operations returns all operations, by model and name. The slice is the caller's.
func Operations() []Operation { return slices.Clone(operations) }

func alloc[T any]() any { return new(T) }

// maxCommas bounds what a body can make the decoder allocate: three bytes such as
// "{}," become a structure of up to 120 bytes. The largest stateless rule groups
// that fit in their capacity stay below it, and so do 2,000,000 bytes of rules.
const maxCommas = 1 << 19

// DecodeRequest reads the JSON body of a request to o and checks it against the
// model. It returns a *<Name>Request, or a SerializationException when the body
// is not such a JSON object, or a ValidationException that lists what breaks
// the model.
//
// Unknown members are ignored. A member given twice is refused, because two
// readers of such a body may see different requests. Time is linear in the
// body, whose size the caller bounds; memory is bounded by maxCommas, nesting by
// the decoder (10,000 levels).
func (o *Operation) DecodeRequest(body []byte) (any, error) {
	if bytes.Count(body, []byte{','}) > maxCommas {
		return nil, SerializationException("The body has too many list elements and members.")
	}
	in := o.NewRequest()
	if err := Decode(body, in); err != nil {
		return nil, err
	}
	if err := o.Validate(in); err != nil {
		return nil, err
	}
	return in, nil
}

// Decode reads JSON text into the structure that v points to. An empty text
// reads as an empty object. Errors are SerializationExceptions.
func Decode(text []byte, v any) error {
	if len(text) == 0 {
		return nil
	}
	err := json.Unmarshal(text, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok && e.GoType != nil {
		at := "/" + strings.TrimPrefix(string(e.JSONPointer), "/")
		return SerializationException("The value at %s must be %s.", clip(at), expected(e.GoType))
	}
	return SerializationException("The body must be one JSON object: %s", clip(err.Error()))
}

// expected says in the words of JSON what a Go type takes.
func expected(t reflect.Type) string {
	if t == reflect.TypeFor[Time]() {
		return "a number of seconds since 1970"
	}
	switch t.Kind() {
	case reflect.Int32, reflect.Int64:
		return fmt.Sprintf("a whole number of at most %d bits", t.Bits())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}

// Encode returns v, a pointer to a structure of this package, as JSON text.
// Equal values give equal texts.
func Encode(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true))
}
