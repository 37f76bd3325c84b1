// Package store keeps typed records in etcd, embedded in this process or
// reached over a network or unix socket: records with revisions, transactions
// that compare the revisions they read, leases, and watches that survive
// whatever happens to the server. It knows nothing of what the records mean.
//
// A write that was answered without an error is on disk (etcd syncs its log
// before it answers). Every call is bounded in time: a store that does not
// answer yields ErrUnavailable with one sentence on what to do, never a hang.
package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors that callers tell apart with errors.Is. What wraps them says which
// key was meant and what to do.
var (
	ErrNotFound = errors.New("no such record")

	// ErrConflict: a record that the transaction compared has changed since it
	// was read. Nothing was written: read again and retry.
	ErrConflict = errors.New("the records changed meanwhile")

	// ErrUnavailable: the store did not answer in time or has failed. Whether
	// a write took effect is then unknown.
	ErrUnavailable = errors.New("the store does not answer")

	// ErrTooLarge: one record or transaction is larger than the store takes.
	ErrTooLarge = errors.New("too large for the store")
)

// maxRequest is the size of the largest transaction in bytes. An embedded
// store is set up for it; an external etcd has 1.5 MiB unless told otherwise.
const maxRequest = 8 << 20

const defaultTimeout = 5 * time.Second

// reconnectDelay is the longest time between two tries to reach an etcd that is away.
const reconnectDelay = 2 * time.Second

// Lease is the id of a lease; 0 is none.
type Lease int64

// KV is one record as it stands in the store.
type KV struct {
	Key   string
	Value []byte
	Rev   int64 // revision of its last change
	Lease Lease
}

// Store is a connection to etcd. It is safe for concurrent use.
type Store struct {
	client  *clientv3.Client
	timeout time.Duration // bound of every single call
	log     *slog.Logger
	at      string // where etcd is, for error texts
	ended   context.Context
	end     context.CancelFunc

	checkEvery time.Duration // see defaultCheck

	embedded *embedded // nil for an external etcd

	closeOnce sync.Once
	closeErr  error // set by closeOnce
}

// DialOptions says how to reach an etcd that runs elsewhere. Only Endpoints
// is required.
type DialOptions struct {
	Endpoints          []string      // "host:2379", "https://host:2379", "unix:///absolute/path"
	TLS                *tls.Config   // nil: plain text
	Username, Password string        // of etcd's own authentication; empty: none
	Timeout            time.Duration // of every call; 0 means 5 s
	Logger             *slog.Logger  // nil: discard
}

// Dial returns a Store for a running etcd. It does not wait for the server:
// calls fail with ErrUnavailable until it can be reached.
func Dial(ctx context.Context, o DialOptions) (*Store, error) {
	if len(o.Endpoints) == 0 {
		return nil, errors.New("store: no etcd endpoint given: set at least one, such as 127.0.0.1:2379")
	}
	log, timeout := defaults(o.Logger, o.Timeout)
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            o.Endpoints,
		TLS:                  o.TLS,
		Username:             o.Username,
		Password:             o.Password,
		DialTimeout:          timeout,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: timeout,
		MaxCallSendMsgSize:   maxRequest,
		Context:              ended,
		// gRPC's own bound is 120 s, which a store that came back would not be noticed for.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           grpcbackoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnectDelay},
			MinConnectTimeout: timeout,
		})},
		// What the client logs comes back as the error of a call as well.
		Logger: zapLogger(log, func() bool { return true }, nil),
	})
	if err != nil {
		end()
		return nil, fmt.Errorf("store: connect to etcd at %s: %w", strings.Join(o.Endpoints, ", "), err)
	}
	return &Store{client: client, timeout: timeout, log: log, at: strings.Join(o.Endpoints, ", "), ended: ended, end: end, checkEvery: defaultCheck}, nil
}

func defaults(log *slog.Logger, timeout time.Duration) (*slog.Logger, time.Duration) {
	if log == nil {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return log, timeout
}

// Close ends the connection, all watches and, when embedded, the server.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.end()
		s.closeErr = s.client.Close()
		if errors.Is(s.closeErr, context.Canceled) {
			s.closeErr = nil // the client reports that its context has ended
		}
		if s.embedded != nil {
			s.closeErr = errors.Join(s.closeErr, s.embedded.close())
		}
	})
	return s.closeErr
}

// Failed is closed when the embedded server has met something that it cannot
// go on from (a full disk, broken data). Err then says what. It is never
// closed for an external etcd.
func (s *Store) Failed() <-chan struct{} {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.failure.ch
}

// Err returns why the embedded server stopped working, or nil.
func (s *Store) Err() error {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.failure.get()
}

// Ping reports whether the store answers a read that needs its consensus.
func (s *Store) Ping(ctx context.Context) error {
	_, err := call(ctx, s, "ping", "", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, "\x00", clientv3.WithCountOnly())
	})
	return err
}

// Get returns the record at key, or an error that wraps ErrNotFound.
func (s *Store) Get(ctx context.Context, key string) (KV, error) {
	resp, err := call(ctx, s, "get", key, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, key)
	})
	if err != nil {
		return KV{}, err
	}
	if len(resp.Kvs) == 0 {
		return KV{}, fmt.Errorf("store: get %s: %w", key, ErrNotFound)
	}
	return kvOf(resp.Kvs[0]), nil
}

// Page is a part of the records under a prefix, in order of their keys.
type Page struct {
	KVs  []KV
	Rev  int64 // the store's revision that the page was read at
	More bool  // there are records after the last one of KVs
}

// List returns up to limit records (0: all) under prefix whose key comes after
// the key after (""; from the start). All of one call is read at one revision.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) (Page, error) {
	return s.list(ctx, prefix, after, limit)
}

// Keys is List without the values.
func (s *Store) Keys(ctx context.Context, prefix, after string, limit int) (Page, error) {
	return s.list(ctx, prefix, after, limit, clientv3.WithKeysOnly())
}

func (s *Store) list(ctx context.Context, prefix, after string, limit int, opts ...clientv3.OpOption) (Page, error) {
	start := prefix
	if after >= prefix {
		start = after + "\x00"
	}
	opts = append(opts, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(int64(limit)))
	resp, err := call(ctx, s, "list", prefix, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, start, opts...)
	})
	if err != nil {
		return Page{}, err
	}
	p := Page{Rev: resp.Header.Revision, More: resp.More, KVs: make([]KV, len(resp.Kvs))}
	for i, kv := range resp.Kvs {
		p.KVs[i] = kvOf(kv)
	}
	return p, nil
}

// call runs one operation, bounded in time, and turns its error into one of
// this package's. The operation runs on a goroutine of its own because an
// embedded server whose disk has failed may never return, not even when the
// context ends.
func call[T any](ctx context.Context, s *Store, op, key string, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var zero T
	if err := s.Err(); err != nil {
		return zero, s.wrap(ctx, op, key, err)
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		v, err := f(bounded)
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return zero, s.wrap(ctx, op, key, r.err)
		}
		return r.v, nil
	case <-bounded.Done():
		return zero, s.wrap(ctx, op, key, bounded.Err())
	case <-s.Failed():
		return zero, s.wrap(ctx, op, key, s.Err())
	case <-s.ended.Done():
		return zero, s.wrap(ctx, op, key, errClosed)
	}
}

var errClosed = errors.New("the connection was closed")

// wrap says what failed, why and what to do. ctx is the caller's: if it has
// ended, that is the reason and not the store.
func (s *Store) wrap(ctx context.Context, op, key string, err error) error {
	what := strings.TrimRight("store: "+op+" "+key, " ")
	switch {
	case s.Err() != nil:
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, s.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%s: %w: its space quota is used up: delete what is not needed and restart it, or raise its quota", what, ErrUnavailable)
	case errors.Is(err, rpctypes.ErrRequestTooLarge), status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max"):
		return fmt.Errorf("%s: %w: raise --max-request-bytes of etcd (%d will do): %w", what, ErrTooLarge, maxRequest, err)
	case errors.Is(err, errClosed):
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	case isUnavailable(err):
		return fmt.Errorf("%s: %w (waited up to %v): check that etcd runs at %s and can be reached: %w", what, ErrUnavailable, s.timeout, s.at, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func isUnavailable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, clientv3.ErrNoAvailableEndpoints) {
		return true
	}
	code := status.Code(err)
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		code = e.Code()
	}
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled
}

// failure is the first fatal event of an embedded server.
type failure struct {
	once sync.Once
	ch   chan struct{}
	err  error // set before ch is closed
}

func newFailure() *failure { return &failure{ch: make(chan struct{})} }

func (f *failure) set(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.ch)
	})
}

func (f *failure) get() error {
	select {
	case <-f.ch:
		return f.err
	default:
		return nil
	}
}
