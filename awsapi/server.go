// Package awsapi serves the AWS Network Firewall API: AWS JSON 1.0 over HTTP with
// Signature Version 4. It only translates: authenticate, decode and check,
// authorize, call the method that is named like the operation, encode, log.
package awsapi

import (
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/sluicefw/sluice/audit"
	"github.com/sluicefw/sluice/awsapi/sigv4"
	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/iam"
)

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
	// Operations that it lacks are for its Fallback, if it has one, and else
	// answered with UnknownOperationException. Errors that are a *wire.Error go to
	// the client; others are logged and the client learns of an
	// InternalServerError only.
	//
	// A method ListTagsForResource also tells what tags a resource has when a
	// policy asks for them.
	Service any

	// ServiceFor returns the service of an account, for installations with several.
	// It is called once for each account, at its first call. Without it Service
	// is that of Account, and callers of other accounts are refused.
	ServiceFor func(account string) (any, error)

	Region  string // as in the signatures' credential scope
	Account string // 12 digits; of Service

	// Users says who may call and what they may do. Keys says who may call and do
	// anything, as the root of the key's account. One of them is required, unless Dev.
	Users *iam.View
	Keys  sigv4.Keys

	// Dev accepts every access key without checking its signature and lets it do
	// anything as the root of Account. It is for listeners on the loopback
	// interface only.
	Dev bool

	Audit *audit.Log // told of every call; nil means none

	Now     func() time.Time // nil means time.Now
	Logger  *slog.Logger     // nil means slog.Default()
	Observe Observer         // nil means none
}

// Observer is told of every request: the operation ("Unknown" when it is not one
// of ours), the error code ("" when it succeeded), and how long the answer took.
type Observer func(operation, code string, took time.Duration)

type server struct {
	Options
	services services
}

// New returns the handler of the API, to be mounted at "/". It fails when the
// options are contradictory or a method of the service has an operation's name
// but not its types.
func New(o Options) (http.Handler, error) {
	switch {
	case o.Keys == nil && o.Users == nil && !o.Dev:
		return nil, errors.New("awsapi: no access keys: configure some, or use dev mode on a loopback listener")
	case o.Keys != nil && o.Users != nil:
		return nil, errors.New("awsapi: both users and keys without users: whose keys are they?")
	case o.Service == nil && o.ServiceFor == nil:
		return nil, errors.New("awsapi: no service to call")
	case o.Users != nil && o.ServiceFor == nil && o.Account == "":
		return nil, errors.New("awsapi: users of any account, but one service: whose is it?")
	}
	s := &server{Options: o}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	if s.Observe == nil {
		s.Observe = func(string, string, time.Duration) {}
	}
	if o.ServiceFor != nil {
		s.services.make = o.ServiceFor
		return s, nil
	}
	only, err := newService(o.Service)
	if err != nil {
		return nil, err
	}
	s.services.only = only
	return s, nil
}

// exchange is one request on its way through the server.
type exchange struct {
	id        string
	start     time.Time
	operation string
	caller    wire.Caller
	user      *iam.Caller // who called, if users are known
	proven    bool        // caller is who it claims to be
	refused   bool        // caller is not who it claims to be, or must not do this
	in, out   any         // request and answer, as far as it got
}

// ServeHTTP answers one request, logs it and reports it to the observer.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{id: uuid.NewString(), start: s.Now(), operation: "Unknown"}
	x.caller.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)

	status, code, message := http.StatusOK, "", ""
	body, err := s.answer(w, r, x)
	if err != nil {
		e := s.public(err, x)
		status, code, message, body = e.Status, e.Code, e.Message, e.Body()
	}
	// Before the answer, so that whoever has it finds the record on its way.
	s.audit(r, x, code, message)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-RequestId", x.id)
	w.WriteHeader(status)
	_, err = w.Write(body)

	took := s.Now().Sub(x.start)
	s.Observe(x.operation, code, took)
	attrs := []slog.Attr{
		slog.String("operation", x.operation), slog.String("account", x.caller.Account),
		slog.String("access_key", x.caller.AccessKeyID), slog.String("user", x.caller.UserARN), slog.String("source", x.caller.SourceIP),
		slog.Int("status", status), slog.String("code", code),
		slog.Duration("took", took), slog.String("request_id", x.id),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("write_error", err))
	}
	// The audit log has every call; what fails inside is an error of its own.
	s.Logger.LogAttrs(r.Context(), slog.LevelDebug, "api request", attrs...)
}

// answer returns the body of a successful answer, and turns panics into errors.
// It learns who calls before it reads a byte of the body, and whether that is
// true before it parses one. What the caller may do depends on what the body says.
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
	service, err := s.services.of(x.caller.Account)
	if err != nil {
		return nil, err
	}
	h := service.handlers[target]
	if h == nil {
		return nil, wire.UnknownOperationException("%s is not supported.", op.Name)
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != contentType && media != "application/x-amz-json-1.1" {
		return nil, wire.SerializationException("Content-Type must be %s.", contentType)
	}
	if x.in, err = op.DecodeRequest(text); err != nil {
		return nil, err
	}
	ctx := wire.WithRequestID(r.Context(), x.id)
	if err := s.authorize(ctx, r, x, service); err != nil {
		return nil, err
	}
	if x.out, err = h(ctx, x.caller, x.in); err != nil {
		return nil, err
	}
	return wire.Encode(x.out)
}

// public returns what the client may know of err, and logs the rest.
func (s *server) public(err error, x *exchange) *wire.Error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	s.Logger.Error("api request failed inside", "operation", x.operation, "request_id", x.id, "error", err)
	return wire.InternalServerError("Internal error; the server's log has details under request id %s.", x.id)
}
