package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// documents are the resources of all accounts of a Region as the store has them.
type documents struct {
	groups    map[string]resource.RuleGroup      // by ARN
	policies  map[string]resource.FirewallPolicy // by ARN
	firewalls map[resource.FirewallID]resource.Firewall
	sets      map[string]resource.ReferenceSet // by ARN
	ids       map[string]any                   // what each of these goes by, by key
}

func newDocuments() documents {
	return documents{
		groups:    map[string]resource.RuleGroup{},
		policies:  map[string]resource.FirewallPolicy{},
		firewalls: map[resource.FirewallID]resource.Firewall{},
		sets:      map[string]resource.ReferenceSet{},
		ids:       map[string]any{},
	}
}

// update takes changes in, or all records as they stand. A record that cannot
// be read stays as it was, and is part of the error.
func (d *documents) update(region string, up store.Update) error {
	var errs []error
	if up.Snapshot {
		there := make(map[string]bool, len(up.Events))
		for _, ev := range up.Events {
			there[ev.Key] = true
		}
		for key := range d.ids {
			if !there[key] {
				errs = append(errs, d.apply(region, store.Event{KV: store.KV{Key: key}, Deleted: true}))
			}
		}
	}
	for _, ev := range up.Events {
		errs = append(errs, d.apply(region, ev))
	}
	return errors.Join(errs...)
}

var (
	errNoDocument = errors.New("it has no document")
	errNoCIDR     = errors.New("one of its CIDRs is none")
)

func (d *documents) apply(region string, ev store.Event) error {
	if arn, ok := strings.CutPrefix(ev.Key, resource.Scope{Region: region}.ReferenceSets()); ok {
		return applyTo(d.ids, d.sets, ev, func(s resource.ReferenceSet) (string, error) {
			if slices.ContainsFunc(s.CIDRs, func(p netip.Prefix) bool { return !p.IsValid() }) {
				return "", errNoCIDR
			}
			return arn, nil
		})
	}
	scope, _, ok := resource.ScopeOf(ev.Key)
	switch {
	case !ok || scope.Region != region:
	case strings.HasPrefix(ev.Key, scope.AllRuleGroups()):
		return applyTo(d.ids, d.groups, ev, func(g resource.RuleGroup) (string, error) {
			if g.Doc == nil {
				return "", errNoDocument
			}
			return g.ARN, nil
		})
	case strings.HasPrefix(ev.Key, scope.FirewallPolicies()):
		return applyTo(d.ids, d.policies, ev, func(p resource.FirewallPolicy) (string, error) {
			if p.Doc == nil {
				return "", errNoDocument
			}
			return p.ARN, nil
		})
	case strings.HasPrefix(ev.Key, scope.Firewalls()):
		id := resource.FirewallID{Account: scope.Account, Name: strings.TrimPrefix(ev.Key, scope.Firewalls())}
		return applyTo(d.ids, d.firewalls, ev, func(resource.Firewall) (resource.FirewallID, error) { return id, nil })
	}
	return nil
}

// applyTo keeps a map by identity, and ids, which tells what a deleted key was.
// id refuses a record that must not be used.
func applyTo[K comparable, T any](ids map[string]any, all map[K]T, ev store.Event, id func(T) (K, error)) error {
	forget := func() {
		if was, ok := ids[ev.Key].(K); ok {
			delete(all, was)
			delete(ids, ev.Key)
		}
	}
	if ev.Deleted {
		forget()
		return nil
	}
	v, err := store.Decode[T](ev.KV)
	if err != nil {
		return err
	}
	is, err := id(v)
	if err != nil {
		return fmt.Errorf("the record at %s cannot be used: %w", ev.Key, err)
	}
	forget()
	ids[ev.Key] = is
	all[is] = v
	return nil
}

// bundle is everything that a firewall's program is made of.
type bundle struct {
	input  policy.Input
	tokens map[string]string // ARN of the policy, its groups and their reference sets to the update tokens
}

// bundle collects the documents of a policy.
func (d *documents) bundle(policyARN string, homeNet []string, rules policy.RuleOptions) (bundle, error) {
	p, ok := d.policies[policyARN]
	if !ok {
		return bundle{}, fmt.Errorf("firewall policy %s is not in the store", policyARN)
	}
	b := bundle{
		input:  policy.Input{ARN: policyARN, Policy: p.Doc, Groups: map[string]*wire.RuleGroup{}, References: map[string][]netip.Prefix{}, HomeNet: homeNet, Rules: rules},
		tokens: map[string]string{policyARN: p.UpdateToken},
	}
	var arns []string
	for _, ref := range p.Doc.StatelessRuleGroupReferences {
		arns = append(arns, wire.Val(ref.ResourceArn))
	}
	for _, ref := range p.Doc.StatefulRuleGroupReferences {
		arns = append(arns, wire.Val(ref.ResourceArn))
	}
	for _, arn := range arns {
		g, ok := d.groups[arn]
		if !ok {
			return bundle{}, fmt.Errorf("rule group %s, which policy %s refers to, is not in the store", arn, policyARN)
		}
		b.input.Groups[arn] = g.Doc
		b.tokens[arn] = g.UpdateToken
		d.addReferences(&b, g.Doc.ReferenceSets)
	}
	return b, nil
}

// addReferences adds the reference sets that a group uses, as far as they are there.
func (d *documents) addReferences(b *bundle, used *wire.ReferenceSets) {
	if used == nil {
		return
	}
	for _, ref := range used.IPSetReferences {
		arn := wire.Val(ref.ReferenceArn)
		if set, ok := d.sets[arn]; ok {
			b.input.References[arn] = set.CIDRs
			b.tokens[arn] = set.UpdateToken
		}
	}
}

// firewall is one firewall on this node.
type firewall struct {
	id       resource.FirewallID
	label    string // for people: the id, or the name if that says it
	engine   *engine.Engine
	recorder *recorder
	attached []string       // endpoints of the drivers that the node's configuration names; they stay when the resource goes
	drivers  []pktio.Driver // of New and Run only

	// Of the goroutine that watches the configuration.
	domains   []engine.DomainSource // what the engine remembers
	unread    bool                  // what failed last could be about files of rules: it is tried again
	rematched string                // the rematch setting that the newest program was last held against old flows with

	mu         sync.Mutex
	exists     bool              // guarded by mu: as a resource with a zone that is ours
	generation uint32            // guarded by mu: of the program in force
	tokens     map[string]string // guarded by mu: what the program in force was made of
	tried      map[string]string // guarded by mu: what was compiled last, in force or not
	failure    string            // guarded by mu: why tried is not in force

	setsSaved, setsFailed atomic.Uint64 // files of data sets written; times that saving failed

	rematch atomic.Int64 // flows that the newest program would not admit, as of its start; -1 when nobody asked
}

// sync is the firewall's report; ok is false when there is nothing to report.
func (fw *firewall) sync(node, zone string) (s resource.Sync, ok bool) {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	return resource.Sync{
		Node: node, Zone: zone, Generation: fw.generation, Tokens: maps.Clone(fw.tokens), Error: fw.failure, Attached: fw.attached,
	}, fw.exists && (fw.tokens != nil || fw.failure != "")
}

// serves says whether a firewall is ours: it has a subnet in our zone, or none yet.
func serves(f resource.Firewall, zone string) bool {
	zones := f.Zones()
	return len(zones) == 0 || slices.Contains(zones, zone)
}

// reconcile brings every firewall to what the documents say. A policy that
// does not compile leaves the one before in force, and the report says why.
func (n *Node) reconcile(ctx context.Context) {
	for id, f := range n.docs.firewalls {
		if !serves(f, n.opt.Zone) {
			continue
		}
		fw := n.firewall(id, false)
		fw.mu.Lock()
		fw.exists = true
		fw.mu.Unlock()
		if err := fw.recorder.configure(ctx, destinationsOf(f.Logging)); err != nil {
			n.opt.Logger.Error("a log destination cannot be opened; its records are not written", slog.String("firewall", fw.label), slog.Any("error", err))
		}
		n.rememberDomains(ctx, fw, f.Analysis)
		changed := n.update(ctx, fw, f.PolicyARN)
		if changed || f.Rematch != fw.rematched {
			n.rematch(ctx, fw, f.Rematch)
		}
	}
	for _, fw := range n.all() {
		f, ok := n.docs.firewalls[fw.id]
		if ok && serves(f, n.opt.Zone) {
			continue
		}
		n.retire(ctx, fw)
	}
}

// retire ends a firewall that is gone as a resource. One that is attached keeps
// its driver and, as a firewall without a policy, drops its packets.
func (n *Node) retire(ctx context.Context, fw *firewall) {
	fw.mu.Lock()
	existed := fw.exists
	fw.exists, fw.tokens, fw.tried, fw.failure = false, nil, nil, ""
	fw.mu.Unlock()
	fw.rematch.Store(-1)
	fw.rematched, fw.unread = "", false
	if !existed {
		return
	}
	n.opt.Logger.Info("firewall is gone", slog.String("firewall", fw.label))
	program := fw.engine.Program()
	if err := fw.engine.SetProgram(ctx, nil); err != nil && !errors.Is(err, context.Canceled) {
		n.opt.Logger.Error("a worker did not give up its program", slog.String("firewall", fw.label), slog.Any("error", err))
	}
	n.saveDataSetsOf(fw, program)
	n.rememberDomains(ctx, fw, nil)
	if err := fw.recorder.configure(ctx, destinations{}); err != nil {
		n.opt.Logger.Error("a log file did not close", slog.String("firewall", fw.label), slog.Any("error", err))
	}
	if len(fw.attached) == 0 {
		n.mu.Lock()
		delete(n.firewalls, fw.id)
		n.mu.Unlock()
	}
}

// update compiles a firewall's policy, if it or a group has changed, and puts
// the program in force. It reports whether there is a new one.
func (n *Node) update(ctx context.Context, fw *firewall, policyARN string) bool {
	b, err := n.docs.bundle(policyARN, n.opt.HomeNet, n.opt.Rules)
	fw.mu.Lock()
	unchanged := err == nil && maps.Equal(b.tokens, fw.tried)
	generation := fw.generation + 1
	fw.mu.Unlock()
	if unchanged {
		return false
	}
	log := n.opt.Logger.With(slog.String("firewall", fw.label), slog.String("policy", policyARN))
	fw.unread = false
	fail := func(err error) {
		fw.mu.Lock()
		known := fw.failure == err.Error()
		fw.tried, fw.failure = b.tokens, err.Error()
		fw.mu.Unlock()
		if !known {
			log.Error("the policy cannot be put in force; the one before stays", slog.Any("error", err))
		}
	}
	if err != nil {
		fail(err)
		return false
	}
	failure := ""
	b.input.Files = n.setFiles(fw.id)
	if before := fw.engine.Program(); before != nil {
		n.saveDataSetsOf(fw, before) // what the new rules do not take over may be read by them
		b.input.Previous = before.Rules
	}
	program, err := compile(b.input, generation)
	fw.unread = err != nil && b.input.Files != nil
	if fw.unread && b.input.Previous == nil {
		// Nothing else could be in force: one file must not keep the whole policy from it.
		failure = err.Error()
		b.input.Lost = func(err error) {
			log.Error("rules come into force without a file that they name, until it can be read", slog.Any("error", err))
		}
		program, err = compile(b.input, generation)
	}
	if err != nil {
		fail(err)
		return false
	}
	setting, cancel := context.WithTimeout(ctx, rematchTimeout)
	defer cancel()
	if err := fw.engine.SetProgram(setting, program); err != nil {
		if ctx.Err() == nil {
			fail(err)
		}
		return false
	}
	log.Info("policy in force", slog.Uint64("generation", uint64(generation)), slog.Int("rules", len(program.Rules.Rules())))
	fw.mu.Lock()
	fw.generation, fw.tokens, fw.tried, fw.failure = generation, b.tokens, b.tokens, failure
	fw.mu.Unlock()
	return true
}

// rematchTimeout bounds what a change of rules waits for its old flows.
const rematchTimeout = 10 * time.Second

// rematch looks for flows of older programs that the newest would not admit any
// more, as the firewall's setting says: it counts them, or flushes them. It is
// for a new program and for a new setting. One that fails is tried again with
// the next change of the configuration.
func (n *Node) rematch(ctx context.Context, fw *firewall, mode string) {
	fw.rematch.Store(-1) // unless this goes well
	fw.rematched = ""
	if mode != wire.RematchModeReport && mode != wire.RematchModeEnforce {
		fw.rematched = mode
		return
	}
	ctx, cancel := context.WithTimeout(ctx, rematchTimeout)
	defer cancel()
	res, err := fw.engine.Run(ctx, engine.Operation{
		ID: "rematch", Flush: mode == wire.RematchModeEnforce, Filters: []flow.Filter{{}}, Stale: true,
	})
	if err != nil {
		n.opt.Logger.Error("old flows were not matched with the new rules", slog.String("firewall", fw.label), slog.Any("error", err))
		return
	}
	fw.rematch.Store(int64(res.Flows))
	fw.rematched = mode
	n.opt.Logger.Info("old flows matched with the new rules", slog.String("firewall", fw.label), slog.String("rematch", mode), slog.Int("stale", res.Flows))
}

// compile is policy.Compile for documents that nobody may have checked: what a
// store holds was perhaps written by something else than the API.
func compile(in policy.Input, generation uint32) (p *detect.Program, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("the documents are malformed: %v", r)
		}
	}()
	return policy.Compile(in, generation)
}
