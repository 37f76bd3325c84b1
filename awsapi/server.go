// Package awsapi serves the AWS Network Firewall API: AWS JSON 1.0 over HTTP with
// Signature Version 4. It only translates: authenticate, decode and check,
// call the method that is named like the operation, encode.
package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/sluicefw/sluice/awsapi/sigv4"
	"github.com/sluicefw/sluice/awsapi/wire"
)

// maxBody bounds request bodies, in bytes. The largest that AWS accepts carry
// 2,000,000 bytes of rules, which JSON escapes make longer, or stateless rules
// worth a capacity of 30,000, at some 300 bytes of JSON each.
const maxBody = 16 << 20

const (
	contentType = "application/x-amz-json-1.0"
	signingName = "network-firewall"
)

// Options configure New.
type Options struct {
	// Service implements operations, as methods of the form
	//
	//	ListFirewalls(context.Context, wire.Caller, *wire.ListFirewallsRequest) (*wire.ListFirewallsResponse, error)
	//
	// Operations that it lacks are answered with UnknownOperationException. Errors
	// that are a *wire.Error go to the client; others are logged and the
	// client learns of an InternalServerError only.
	Service any

	Region string     // as in the signatures' credential scope
	Keys   sigv4.Keys // who may call; required unless Dev

	// Dev accepts every access key without checking its signature and lets it act
	// for Account. It is for listeners on the loopback interface only.
	Dev     bool
	Account string // 12 digits; used with Dev only

	Now     func() time.Time // nil means time.Now
	Logger  *slog.Logger     // nil means slog.Default()
	Observe Observer         // nil means none
}

// Observer is told of every request: the operation ("Unknown" when it is not one
// of ours), the error code ("" when it succeeded), and how long the answer took.
type Observer func(operation, code string, took time.Duration)

// handler runs an operation; in is what its NewRequest allocated.
type handler func(ctx context.Context, caller wire.Caller, in any) (out any, err error)

// handle makes a handler of a method of the service.
func handle[In, Out any](method func(context.Context, wire.Caller, *In) (*Out, error)) handler {
	return func(ctx context.Context, caller wire.Caller, in any) (any, error) {
		out, err := method(ctx, caller, in.(*In))
		if out == nil {
			out = new(Out)
		}
		return out, err
	}
}

type server struct {
	Options
	verifier sigv4.Verifier
	handlers map[string]handler // by target
}

// New returns the handler of the API, to be mounted at "/". It fails when the
// options are contradictory or a method of the service has an operation's name
// but not its types.
func New(o Options) (http.Handler, error) {
	if o.Keys == nil && !o.Dev {
		return nil, errors.New("awsapi: no access keys: configure some, or use dev mode on a loopback listener")
	}
	if o.Service == nil {
		return nil, errors.New("awsapi: no service to call")
	}
	s := &server{
		Options:  o,
		verifier: sigv4.Verifier{Region: o.Region, Service: signingName, Keys: o.Keys},
		handlers: make(map[string]handler),
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	if s.Observe == nil {
		s.Observe = func(string, string, time.Duration) {}
	}
	bind(o.Service, func(target string, h handler) { s.handlers[target] = h })
	for _, op := range wire.Operations() {
		if m, ok := reflect.TypeOf(o.Service).MethodByName(op.Name); ok && s.handlers[op.Target()] == nil {
			return nil, fmt.Errorf("awsapi: %T.%s has type %s, want func(context.Context, wire.Caller, *wire.%[2]sRequest) (*wire.%[2]sResponse, error)", o.Service, op.Name, m.Type)
		}
	}
	return s, nil
}

// exchange is one request on its way through the server.
type exchange struct {
	id        string
	operation string
	caller    wire.Caller
}

// ServeHTTP answers one request, logs it and reports it to the observer.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.Now()
	x := &exchange{id: uuid.NewString(), operation: "Unknown"}
	x.caller.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)

	status, code := http.StatusOK, ""
	body, err := s.answer(w, r, x)
	if err != nil {
		e := s.public(err, x)
		status, code, body = e.Status, e.Code, e.Body()
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-RequestId", x.id)
	w.WriteHeader(status)
	_, err = w.Write(body)

	took := s.Now().Sub(start)
	s.Observe(x.operation, code, took)
	attrs := []slog.Attr{
		slog.String("operation", x.operation), slog.String("account", x.caller.Account),
		slog.String("access_key", x.caller.AccessKeyID), slog.String("source", x.caller.SourceIP),
		slog.Int("status", status), slog.String("code", code),
		slog.Duration("took", took), slog.String("request_id", x.id),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("write_error", err))
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "api request", attrs...)
}

// answer returns the body of a successful answer, and turns panics into errors.
// It learns who calls before it reads a byte of the body, and whether that is
// true before it parses one.
func (s *server) answer(w http.ResponseWriter, r *http.Request, x *exchange) (body []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		return nil, &wire.Error{Code: "UnknownOperationException", Message: "The API is served by POST requests to / only.", Status: http.StatusNotFound}
	}
	text, err := s.authenticate(w, r, x)
	if err != nil {
		return nil, err
	}
	target := r.Header.Get("X-Amz-Target")
	op := wire.Lookup(target)
	if op == nil {
		return nil, wire.UnknownOperationException("X-Amz-Target names no operation of this API; it must be <prefix>.<operation>.")
	}
	x.operation = op.Name
	h := s.handlers[target]
	if h == nil {
		return nil, wire.UnknownOperationException("%s is not supported.", op.Name)
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != contentType && media != "application/x-amz-json-1.1" {
		return nil, wire.SerializationException("Content-Type must be %s.", contentType)
	}
	in, err := op.DecodeRequest(text)
	if err != nil {
		return nil, err
	}
	out, err := h(wire.WithRequestID(r.Context(), x.id), x.caller, in)
	if err != nil {
		return nil, err
	}
	return wire.Encode(out)
}

// authenticate fills in the caller and returns the request's body.
func (s *server) authenticate(w http.ResponseWriter, r *http.Request, x *exchange) ([]byte, error) {
	if s.Dev {
		// A web page may have its own name resolve to this host and then call here;
		// without secrets, the name is what gives it away.
		if !isLocal(r.Host) {
			return nil, wire.AccessDeniedException("In dev mode the API is reached by IP address or as localhost only.")
		}
		id, err := sigv4.AccessKeyID(r)
		if err != nil {
			return nil, err
		}
		x.caller.Account, x.caller.AccessKeyID = s.Account, id
		return readBody(w, r)
	}
	sig, err := s.verifier.Open(r, s.Now())
	if err != nil {
		return nil, err
	}
	text, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if err := sig.Verify(text); err != nil {
		return nil, err
	}
	x.caller.Account, x.caller.AccessKeyID = sig.Account, sig.AccessKeyID
	return text, nil
}

// isLocal reports whether a Host header is localhost or an IP address.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, wire.RequestEntityTooLargeException("The request's body exceeds %d bytes.", maxBody)
	}
	if err != nil {
		return nil, wire.SerializationException("The request's body could not be read to its end.")
	}
	return text, nil
}

// public returns what the client may know of err, and logs the rest.
func (s *server) public(err error, x *exchange) *wire.Error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	s.Logger.Error("api request failed inside", "operation", x.operation, "request_id", x.id, "error", err)
	return wire.InternalServerError("Internal error; the server's log has details under request id %s.", x.id)
}
