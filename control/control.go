// Package control does what the operator asks for: it keeps firewalls, their
// policies and rule groups in the store, in a state that always holds
// together, and runs flow operations over the engine nodes.
//
// There is one method per operation of the API, and Fallback for those that are
// not offered. Requests have passed the API
// model's own checks (wire.Operation.Validate); everything else is checked
// here, with AWS's error texts where they are known. All errors are *wire.Error.
//
// Every change is one transaction that compares the revisions of all records
// that it was decided on, so that concurrent changes cannot break what each of
// them checked: a change that loses is decided anew.
package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// Options is what a Control works with. Store, Scope and Zone are required.
type Options struct {
	Store *store.Store
	Scope resource.Scope

	Zone        string            // of subnets that SubnetZones does not name
	SubnetZones map[string]string // subnet id to zone name

	RuleCheck policy.RuleCheck // of stateful rules

	// CheckLogDestination, if set, says whether records can be written to a
	// destination of that type. It heeds ctx, which ends after 10 seconds.
	CheckLogDestination func(ctx context.Context, kind string, target map[string]string) error

	FlowDeadline time.Duration // for nodes to report on a flow operation or answer an analysis report; 0 means 60 s
	QueryTimeout time.Duration // for nodes to answer a query of live flows, which takes them milliseconds; 0 means 5 s
	Limits       Limits

	Clock  func() time.Time // nil: time.Now
	NewID  func() string    // returns a new lower-case UUID; nil: a random one
	Logger *slog.Logger     // nil: discard
}

// Limits are the quotas of the account. A zero member means its default, which
// where AWS's is adjustable is larger than AWS's.
type Limits struct {
	Firewalls       int // default 1000 (AWS: 5)
	Policies        int // default 1000 (AWS: 20)
	StatefulGroups  int // default 2000 (AWS: 50); as many of the kind that is for domains only
	StatelessGroups int // default 2000 (AWS: 50)

	TLSConfigurations    int // default 1000 (AWS: 20)
	EndpointAssociations int // default 3000 (AWS: 300)
}

// Control carries out operations. It is safe for concurrent use, and any
// number of them may work on one store.
type Control struct {
	store  *store.Store
	scope  resource.Scope
	o      Options
	log    *slog.Logger
	groups *remembered[groupState]
	shares *remembered[[]grant] // on the resources of an installation, which lists ask all
	turn   chan struct{}        // capacity 1: held by the change that is tried again, see change
}

// New returns a Control.
func New(o Options) *Control {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.NewID == nil {
		o.NewID = newID
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FlowDeadline <= 0 {
		o.FlowDeadline = time.Minute
	}
	if o.QueryTimeout <= 0 {
		o.QueryTimeout = 5 * time.Second
	}
	for _, l := range []struct {
		limit *int
		or    int
	}{
		{&o.Limits.Firewalls, 1000}, {&o.Limits.Policies, 1000}, {&o.Limits.StatefulGroups, 2000}, {&o.Limits.StatelessGroups, 2000},
		{&o.Limits.TLSConfigurations, 1000}, {&o.Limits.EndpointAssociations, 3000},
	} {
		if *l.limit <= 0 {
			*l.limit = l.or
		}
	}
	return &Control{store: o.Store, scope: o.Scope, o: o, log: o.Logger, groups: &remembered[groupState]{}, shares: &remembered[[]grant]{}, turn: make(chan struct{}, 1)}
}

// of is the Control of another account of the Region.
func (c *Control) of(account string) *Control {
	other := *c
	other.scope.Account = account
	return &other
}

func newID() string {
	id, err := uuid.NewRandomFromReader(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return id.String()
}

// attempts bounds how often a change is decided anew after losing to others.
const attempts = 64

// change runs decide, which reads records and fills a transaction, and commits
// that. When somebody else changed one of the records meanwhile it starts
// over. An empty transaction is not committed (a dry run).
//
// One of those that collide always wins, but a slow one could lose to others for
// ever. So whoever has lost once waits for its turn among those of this Control:
// one of them at a time tries again, and new changes try once before they queue
// up too. What is left to lose to are other Controls.
func (c *Control) change(ctx context.Context, decide func(t *store.Txn) error) error {
	for attempt := range attempts {
		if attempt == 1 {
			select {
			case c.turn <- struct{}{}:
				defer func() { <-c.turn }()
			case <-ctx.Done():
				return wire.ThrottlingException("The resource is being changed by many requests at once: try again")
			}
		}
		var t store.Txn
		if err := decide(&t); err != nil {
			return err
		}
		if t.Empty() {
			return nil
		}
		_, err := c.store.Commit(ctx, &t)
		if !errors.Is(err, store.ErrConflict) {
			return storeError(err)
		}
	}
	return wire.ThrottlingException("The resource is being changed by many requests at once: try again")
}

// changeLeased is change for records that expire after ttl. decide gets the
// lease for them, which is granted when it is first asked for and given back if
// nothing was written.
func (c *Control) changeLeased(ctx context.Context, ttl time.Duration, decide func(t *store.Txn, lease func() (store.Lease, error)) error) error {
	var lease store.Lease
	grant := func() (store.Lease, error) {
		if lease != 0 {
			return lease, nil
		}
		var err error
		lease, err = c.store.Grant(ctx, ttl)
		return lease, storeError(err)
	}
	err := c.change(ctx, func(t *store.Txn) error { return decide(t, grant) })
	if err != nil && lease != 0 {
		if err := c.store.Revoke(context.WithoutCancel(ctx), lease); err != nil {
			c.log.DebugContext(ctx, "lease left to expire", "error", err)
		}
	}
	return err
}

// storeError turns an error of the store into one of the API.
func storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrTooLarge):
		return wire.InvalidRequestException("The resource is larger than the store takes: %s", err)
	}
	return wire.InternalServerError("%s", err)
}

// record is a value with what a transaction has to compare.
type record[T any] struct {
	key   string
	rev   int64
	value T
}

// read loads one record. found is false if there is none; key is set then too,
// so that its absence can be compared.
func read[T any](ctx context.Context, c *Control, key string) (r record[T], found bool, err error) {
	v, rev, err := store.Get[T](ctx, c.store, key)
	if errors.Is(err, store.ErrNotFound) {
		return record[T]{key: key}, false, nil
	}
	if err != nil {
		return r, false, storeError(err)
	}
	return record[T]{key: key, rev: rev, value: v}, true, nil
}

// list loads all records under prefix and the revision that they were read at.
func list[T any](ctx context.Context, c *Control, prefix string) ([]store.Record[T], int64, error) {
	records, rev, err := store.List[T](ctx, c.store, prefix)
	return records, rev, storeError(err)
}

// replace adds to t that r is written, provided that it is as it was read.
func replace[T any](t *store.Txn, r *record[T]) {
	t.IfRev(r.key, r.rev)
	t.Put(r.key, &r.value, 0)
}

// withinLimit refuses one more record under prefix if there are limit already,
// and has t compare that none was added since they were counted.
func (c *Control) withinLimit(ctx context.Context, t *store.Txn, prefix, what string, limit int) error {
	p, err := c.store.Keys(ctx, prefix, "", limit)
	if err != nil {
		return storeError(err)
	}
	if len(p.KVs) >= limit {
		return wire.LimitExceededException("%s limit exceeded, parameter: [%d], context: %s: raise the limit in the configuration", what, limit, what)
	}
	t.IfNoneSince(prefix, p.Rev)
	return nil
}

// newMeta is that of a resource about to be created.
func (c *Control) newMeta(kind, name string, description *string, tags []wire.Tag, encryption *wire.EncryptionConfiguration) (resource.Meta, error) {
	if err := checkTags(tags); err != nil {
		return resource.Meta{}, err
	}
	if err := checkEncryption(encryption); err != nil {
		return resource.Meta{}, err
	}
	return resource.Meta{
		ID: c.o.NewID(), ARN: c.arn(kind, name), Name: name, UpdateToken: c.o.NewID(),
		Description: description, Modified: c.o.Clock(), Tags: tags, Encryption: encryption,
	}, nil
}

// touch marks a change that invalidates update tokens.
func (c *Control) touch(m *resource.Meta) {
	m.UpdateToken = c.o.NewID()
	m.Modified = c.o.Clock()
}

// checkToken compares the token of a request with the current one. AWS: nil,
// where the model allows it, means an unconditional change.
func checkToken(given *string, m *resource.Meta) error {
	if given != nil && *given != m.UpdateToken {
		return wire.InvalidTokenException("The update token is stale or does not belong to this resource")
	}
	return nil
}

// errExists is AWS's word on a name that is taken. CloudFormation searches for it.
func errExists() error {
	return wire.InvalidRequestException("A resource with the specified name already exists")
}

// errInUse is AWS's word on deleting what others refer to. Terraform retries on it.
func errInUse() error {
	return wire.InvalidOperationException("Unable to delete the object because it is still in use")
}

func invalid(format string, args ...any) error { return wire.InvalidRequestException(format, args...) }

// audit notes who changed what.
func (c *Control) audit(ctx context.Context, caller wire.Caller, operation, arn string) {
	c.log.InfoContext(ctx, "change", "operation", operation, "resource", arn,
		"access_key", caller.AccessKeyID, "from", caller.SourceIP, "request", wire.RequestID(ctx))
}

// encryption is how a resource says what encrypts it. Nothing here does; the
// member is kept because clients compare it with what they sent.
func encryption(m *resource.Meta) *wire.EncryptionConfiguration {
	if m.Encryption != nil && wire.Val(m.Encryption.Type) == wire.EncryptionTypeCustomerKms {
		return m.Encryption
	}
	const aws = wire.EncryptionTypeAwsOwnedKmsKey
	return &wire.EncryptionConfiguration{KeyId: wire.Ptr(aws), Type: wire.Ptr(aws)}
}

// checkEncryption: a customer's key has to be named, and AWS's own has one name.
func checkEncryption(e *wire.EncryptionConfiguration) error {
	const owned = wire.EncryptionTypeAwsOwnedKmsKey
	switch {
	case e == nil:
	case wire.Val(e.Type) == wire.EncryptionTypeCustomerKms && wire.Val(e.KeyId) == "":
		return invalid("KeyId cannot be null or empty, context: EncryptionConfiguration.KeyId")
	case wire.Val(e.Type) == owned && e.KeyId != nil && *e.KeyId != owned:
		return invalid("%s", quoted("KeyId is invalid", *e.KeyId, "EncryptionConfiguration.KeyId"))
	}
	return nil
}

// setEncryption changes what encrypts a resource, if a request says so.
func setEncryption(m *resource.Meta, e *wire.EncryptionConfiguration) error {
	if e == nil {
		return nil
	}
	m.Encryption = e
	return checkEncryption(e)
}

// tagsOf is how describe and delete show tags: AWS writes an empty list.
func tagsOf(m *resource.Meta) []wire.Tag {
	if m.Tags == nil {
		return []wire.Tag{}
	}
	return m.Tags
}

func modified(m *resource.Meta) *wire.Time { return &wire.Time{Time: m.Modified} }

// orNil leaves a member out that is empty.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func count(n int) *int32 { return wire.Ptr(int32(n)) }

func quoted(what string, value any, context string) string {
	return fmt.Sprintf("%s, parameter: [%v], context: %s", what, value, context)
}
