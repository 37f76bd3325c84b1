package awsapi

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/sluicefw/sluice/awsapi/wire"
)

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

// service is what answers the calls of an account.
type service struct {
	handlers map[string]handler // by target
	tags     tagLister          // nil: resources have no tags
	shares   sharer             // nil: what other accounts have is the service's to refuse
}

// tagLister is implemented by services whose resources have tags.
type tagLister interface {
	ListTagsForResource(context.Context, wire.Caller, *wire.ListTagsForResourceRequest) (*wire.ListTagsForResourceResponse, error)
}

// sharer is implemented by services whose accounts share resources.
type sharer interface {
	// AuthorizeShared says whether a caller may do an operation to a resource as far as
	// that is up to another account. foreign is false if it is not.
	AuthorizeShared(ctx context.Context, caller wire.Caller, operation, arn string) (foreign bool, err error)
}

// Fallback is implemented by services that answer operations which they have no
// method for.
type Fallback interface {
	// Fallback carries out op. in is what op.NewRequest allocated; out must be
	// what op.NewResponse allocates.
	Fallback(ctx context.Context, caller wire.Caller, op *wire.Operation, in any) (out any, err error)
}

// newService finds the operations that v implements. It fails when a method has
// an operation's name but not its types.
func newService(v any) (*service, error) {
	fallback, _ := v.(Fallback)
	s := &service{handlers: make(map[string]handler)}
	bind(v, func(target string, h handler) { s.handlers[target] = h })
	for _, op := range wire.Operations() {
		if s.handlers[op.Target()] != nil {
			continue
		}
		// Two prefixes may share an operation's name; its Go name is its request's.
		name := strings.TrimSuffix(reflect.TypeOf(op.NewRequest()).Elem().Name(), "Request")
		if m, ok := reflect.TypeOf(v).MethodByName(name); ok {
			return nil, fmt.Errorf("awsapi: %T.%s has type %s, want func(context.Context, wire.Caller, *wire.%[2]sRequest) (*wire.%[2]sResponse, error)", v, name, m.Type)
		}
		if fallback != nil {
			s.handlers[op.Target()] = func(ctx context.Context, caller wire.Caller, in any) (any, error) {
				return fallback.Fallback(ctx, caller, &op, in)
			}
		}
	}
	s.tags, _ = v.(tagLister)
	s.shares, _ = v.(sharer)
	return s, nil
}

// services are the services of all accounts that have called. Who calls has
// proven to belong to an account, so there are no more than accounts.
type services struct {
	only *service                          // of the only account; nil if there may be several
	make func(account string) (any, error) // used if only is nil

	mu       sync.Mutex
	accounts map[string]*service // guarded by mu
}

// of returns the service of an account. The only one is not checked for being
// the account's: authentication does that.
func (s *services) of(account string) (*service, error) {
	if s.only != nil {
		return s.only, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if made := s.accounts[account]; made != nil {
		return made, nil
	}
	v, err := s.make(account)
	if err != nil {
		return nil, fmt.Errorf("awsapi: service of account %s: %w", account, err)
	}
	made, err := newService(v)
	if err != nil {
		return nil, err
	}
	if s.accounts == nil {
		s.accounts = make(map[string]*service)
	}
	s.accounts[account] = made
	return made, nil
}
