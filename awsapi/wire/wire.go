// Package wire holds the types of the AWS Network Firewall API as they stand on
// the wire (AWS JSON 1.0), generated from the API model, with what it takes to
// read, check and write them.
//
// Every scalar and structure member is a pointer, lists are slices and maps are
// maps: nil is absent and is not written, anything else is present, an empty
// list and a zero included. Enumerations are strings; their values are
// constants named <Enumeration><Value>.
package wire

//go:generate go run ./gen

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Ptr returns a pointer to a copy of v, for filling optional members.
func Ptr[T any](v T) *T { return &v }

// Val returns what p points to, or the zero value when p is nil.
func Val[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Time is a timestamp: on the wire a JSON number, the seconds since the Unix
// epoch with at most three decimals.
type Time struct{ time.Time }

// maxSeconds bounds timestamps to years that time.Time can print (9999).
const maxSeconds = 253402300799

// MarshalJSON writes seconds with milliseconds, trailing zeros left out.
func (t Time) MarshalJSON() ([]byte, error) {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(nil, ms/1000, 10), nil
	}
	return strconv.AppendFloat(nil, float64(ms)/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads a number of seconds, rounded to milliseconds.
func (t *Time) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	s, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.Abs(s) > maxSeconds {
		return fmt.Errorf("timestamp %s is not a number of seconds up to %d", text, maxSeconds)
	}
	t.Time = time.UnixMilli(int64(math.Round(s * 1000))).UTC()
	return nil
}

// Caller says who sent a request.
type Caller struct {
	Account     string // 12 digits
	AccessKeyID string
	UserARN     string // arn:aws:iam::<account>:user/<name>, or :root
	SourceIP    string // peer address without port
}

type requestIDKey struct{}

// WithRequestID returns a context that carries a request's id, for logs.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
