package control

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// Accounts of an installation share firewalls, policies and rule groups by resource
// policies. What another account's policy grants is asked for twice: by
// AuthorizeShared, which says in AWS's words what is refused, and in the transaction
// that makes use of a resource, which fails if it is shared no more.
//
// A resource of one account that refers to one of another leaves a note with it
// (resource.Use), in the same transaction. So nothing goes that somebody uses, and
// nobody has to look through other accounts' records. That a share ends changes
// nothing for what uses the resource already; it only cannot be changed any more
// without giving the resource up.

// grant is a statement of a resource policy.
type grant struct {
	principals []string // as principal has them
	operations []string
}

// alsoGrants are operations that are part of another: whoever may associate a policy
// may do so when the firewall is created.
var alsoGrants = map[string]string{"CreateFirewall": "AssociateFirewallPolicy"}

// isAbout reports whether the grant is for the caller, who is of account.
func (g *grant) isAbout(account string, caller wire.Caller) bool {
	return slices.ContainsFunc(g.principals, func(p string) bool {
		return p == "*" || p == account || p == "arn:aws:iam::"+account+":root" || p == caller.UserARN && caller.Account == account
	})
}

// allow reports whether a policy lets the caller do an operation; "" is any.
func (c *Control) allow(grants []grant, caller wire.Caller, operation string) bool {
	return slices.ContainsFunc(grants, func(g grant) bool {
		if !g.isAbout(c.scope.Account, caller) {
			return false
		}
		return operation == "" || slices.Contains(g.operations, operation) || slices.Contains(g.operations, alsoGrants[operation])
	})
}

// grantsOn reads the grants on a resource of another account: none if it has no
// policy, or one that cannot be read. The record is for a transaction to compare.
func (c *Control) grantsOn(ctx context.Context, a arn) ([]grant, record[resource.ResourcePolicy], error) {
	r, found, err := read[resource.ResourcePolicy](ctx, c, c.of(a.account).scope.ResourcePolicy(a.kind, a.name))
	if err != nil || !found {
		return nil, r, err
	}
	grants, err := parseResourcePolicy(r.value.Text, r.value.ARN, a.kind)
	if err != nil {
		c.log.ErrorContext(ctx, "a resource policy cannot be read and grants nothing", "resource", r.value.ARN, "error", err)
	}
	return grants, r, nil
}

// reachableARN reports whether a resource is of this Region and of an account, so
// that the caller could own it or share it.
func (c *Control) reachableARN(a arn) bool { return a.region == c.scope.Region && isAccount(a.account) }

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// shared demands that the caller may use a resource in an operation: that it is the
// account's own, or that its owner's policy says so, also when t is committed.
func (c *Control) shared(ctx context.Context, t *store.Txn, caller wire.Caller, operation string, a arn, text string) error {
	if c.mine(a) {
		return nil
	}
	grants, policy, err := c.grantsOn(ctx, a)
	if err != nil {
		return err
	}
	if !c.allow(grants, caller, operation) {
		return denied(caller, operation, text)
	}
	t.IfRev(policy.key, policy.rev)
	return nil
}

// denied is AWS's word on access that the owner of a resource does not give.
func denied(caller wire.Caller, operation, text string) error {
	return wire.AccessDeniedException("User: %s is not authorized to perform: network-firewall:%s on resource: %s because no resource-based policy allows the network-firewall:%[2]s action",
		caller.UserARN, operation, text)
}

// ownerOnly are the operations that say ResourceOwnerCheckException to who shares a
// resource, and flowScoped those whose VpcEndpointAssociationArn only says which
// part of the caller's firewall is meant.
var ownerOnly, flowScoped = func() (owner, scoped map[string]bool) {
	owner, scoped = map[string]bool{}, map[string]bool{}
	for _, op := range wire.Operations() {
		in := reflect.TypeOf(op.NewRequest()).Elem()
		_, firewall := in.FieldByName("FirewallArn")
		_, association := in.FieldByName("VpcEndpointAssociationArn")
		if firewall && association {
			scoped[op.Name] = true
		}
		if slices.Contains(op.Errors, "ResourceOwnerCheckException") {
			owner[op.Name] = true
		}
	}
	return owner, scoped
}()

// AuthorizeShared says whether a caller may do an operation to a resource that it
// names. foreign is false for what is not of another account of this Region: what a
// caller may do to that is no question of sharing.
func (c *Control) AuthorizeShared(ctx context.Context, caller wire.Caller, operation, text string) (foreign bool, err error) {
	a, ok := parseARN(text)
	if !ok || !c.reachableARN(a) || c.mine(a) {
		return false, nil
	}
	switch {
	case a.kind == typeEndpoint && flowScoped[operation], a.kind == typeFirewall && operation == "ListVpcEndpointAssociations":
		return false, nil // it selects among what is the caller's own
	case len(shareableOf(a.kind)) == 0:
		return true, denied(caller, operation, text)
	}
	grants, _, err := c.grantsOn(ctx, a)
	switch {
	case err != nil:
		return true, err
	case c.allow(grants, caller, operation):
		return true, nil
	case ownerOnly[operation] && c.allow(grants, caller, ""):
		return true, wire.ResourceOwnerCheckException("Unable to change %s because account %s does not own it", text, c.scope.Account)
	}
	return true, denied(caller, operation, text)
}

// noteUses adds to t the notes of what user now refers to and did not before, and
// takes back those of what it does not refer to any more. Only resources of other
// accounts have notes.
func (c *Control) noteUses(t *store.Txn, user string, before, after []string) {
	u, _ := parseARN(user)
	note := func(text string) (key string, ok bool) {
		a, ok := parseARN(text)
		if !ok || c.mine(a) {
			return "", false
		}
		return c.of(a.account).scope.Use(a.kind, a.name, u.account, u.kind+"/"+u.name), true
	}
	for i, text := range after {
		if key, ok := note(text); ok && !slices.Contains(before, text) && !slices.Contains(after[:i], text) {
			t.Put(key, resource.Use{ARN: user}, 0)
		}
	}
	for i, text := range before {
		if key, ok := note(text); ok && !slices.Contains(after, text) && !slices.Contains(before[:i], text) {
			t.Delete(key)
		}
	}
}

// usage says how often something is used, and where that was looked up.
type usage struct {
	n    int
	seen []seen
}

// seen is what was read: everything under a prefix at a revision.
type seen struct {
	prefix string
	rev    int64
}

// unchanged has t compare that there are no more uses.
func (u *usage) unchanged(t *store.Txn) {
	for _, s := range u.seen {
		t.IfNoneSince(s.prefix, s.rev)
	}
}

// deleteUnused adds to t that r is deleted, provided that it is as it was read and
// that still nothing uses it.
func deleteUnused[T any](t *store.Txn, r *record[T], uses *usage) error {
	if uses.n > 0 {
		return errInUse()
	}
	t.IfRev(r.key, r.rev)
	uses.unchanged(t)
	t.Delete(r.key)
	return nil
}

// addUsesElsewhere adds the uses of the account's resource in other accounts.
func (c *Control) addUsesElsewhere(ctx context.Context, u *usage, kind, name string) error {
	prefix := c.scope.Uses(kind, name)
	p, err := c.store.Keys(ctx, prefix, "", 0)
	if err != nil {
		return storeError(err)
	}
	u.n += len(p.KVs)
	u.seen = append(u.seen, seen{prefix, p.Rev})
	return nil
}

// sharedWith returns the resources of an ARN type that other accounts let the caller
// list by an operation.
func (c *Control) sharedWith(ctx context.Context, caller wire.Caller, operation, kind string) ([]named, error) {
	if len(shareableOf(kind)) == 0 {
		return nil, nil
	}
	prefix := c.scope.ResourcePolicies(kind)
	p, err := c.store.Keys(ctx, prefix, "", 0)
	if err != nil {
		return nil, storeError(err)
	}
	var found []named
	for _, kv := range p.KVs {
		account, name, _ := strings.Cut(strings.TrimPrefix(kv.Key, prefix), "/")
		if account == c.scope.Account {
			continue
		}
		grants, known := c.shares.get(kv.Key, kv.Rev)
		if !known {
			var r record[resource.ResourcePolicy]
			if grants, r, err = c.grantsOn(ctx, arn{c.scope.Region, account, kind, name}); err != nil {
				return nil, err
			}
			c.shares.put(kv.Key, r.rev, grants)
		}
		if c.allow(grants, caller, operation) {
			found = append(found, named{name, c.of(account).arn(kind, name)})
		}
	}
	return found, nil
}

// isARN reports whether a place in a list is among the resources of others, which
// go by their ARNs; names and keys are no ARNs.
func isARN(place string) bool { return strings.HasPrefix(place, anyARN) }

// anyARN comes before every ARN: the place of the first.
const anyARN = "arn:"

// pageOfShared fills a page, which has the last of the account's own resources, with
// those of others in order of their ARNs.
func pageOfShared(p pager, page, others []named) ([]named, *string) {
	slices.SortFunc(others, func(a, b named) int { return strings.Compare(a.arn, b.arn) })
	last := anyARN
	for _, o := range others {
		if isARN(p.after) && o.arn <= p.after {
			continue
		}
		if len(page) == p.size {
			return page, p.next(last)
		}
		page = append(page, o)
		last = o.arn
	}
	return page, nil
}

// firewallFor reads a firewall that may be another account's, for an operation that
// its owner can share. owner is the Control of its account.
func (c *Control) firewallFor(ctx context.Context, t *store.Txn, caller wire.Caller, operation string, text *string) (owner *Control, r record[resource.Firewall], err error) {
	owner = c
	if a, ok := parseARN(wire.Val(text)); ok && a.kind == typeFirewall && c.reachableARN(a) {
		if err := c.shared(ctx, t, caller, operation, a, *text); err != nil {
			return nil, r, err
		}
		owner = c.of(a.account)
	}
	r, err = owner.firewall(ctx, text, nil)
	return owner, r, err
}

// ofFirewall is the Control of the account that a firewall belongs to.
func (c *Control) ofFirewall(text string) (*Control, error) {
	a, ok := parseARN(text)
	if !ok {
		return nil, wire.InternalServerError("the ARN %q of a firewall cannot be read", text)
	}
	return c.of(a.account), nil
}
