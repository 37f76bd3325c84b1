package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/internal/hosts"
)

// scriptTime bounds the whole script.
const scriptTime = 30 * time.Second

// factColumn is where a step's measured fact stands.
const factColumn = 54

// playScript plays the tour and checks every claim of it.
func playScript(ctx context.Context, out *printer, o options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, scriptTime)
	defer cancel()
	begun := time.Now()
	out.line("%s  %s", out.in(bold, "Sluice demo"), out.in(dim, "one process, networks in memory, all over the real API"))
	out.line("")

	s := &script{}
	defer func() {
		if s.world == nil {
			return
		}
		if cerr := s.world.close(); err == nil {
			err = cerr
		}
	}()
	steps := s.steps(o)
	for i, step := range steps {
		fact, err := step.run(ctx)
		if err != nil {
			out.line(" %s %s", out.in(red, "✗"), step.claim)
			return fmt.Errorf("step %d of %d, %q: %w", i+1, len(steps), step.claim, err)
		}
		out.line(" %s %s%s", out.in(green, "✓"), out.pad(step.claim, factColumn), out.in(bold, fact))
	}
	out.line("")
	out.line("%s in %s.", out.in(green, "All steps held"), brief(time.Since(begun)))
	return nil
}

// step is one claim; run makes it true or fails, and returns what was measured.
type step struct {
	claim string
	run   func(context.Context) (fact string, err error)
}

// script is the state between steps.
type script struct {
	world   *world
	updated hosts.Snapshot // the clients when policy v2 came into force
	flushed hosts.Snapshot // the clients just before the flush
	done    time.Time      // when the flush was complete
	flows   []types.Flow   // that the flush says it flushed
	victim  hosts.Server   // in the blocked network
}

func (s *script) steps(o options) []step {
	for _, server := range hosts.Servers() {
		if server.Kind == hosts.Chatty && toBlocked(server.Addr) {
			s.victim = server
		}
	}
	return []step{
		{"store, API, node and engine run in this process", func(ctx context.Context) (string, error) {
			begun := time.Now()
			var err error
			s.world, err = start(ctx, o)
			return "started in " + brief(time.Since(begun)), err
		}},
		{"rule group, policy and firewall are created", func(ctx context.Context) (string, error) {
			begun := time.Now()
			err := s.world.createFirewall(ctx)
			return "READY after " + brief(time.Since(begun)), err
		}},
		{"clients talk through it: TCP, HTTP, TLS, DNS", func(ctx context.Context) (string, error) {
			begun := time.Now()
			if err := s.world.startTraffic(ctx, o.connections); err != nil {
				return "", err
			}
			err := s.world.allLive(ctx)
			return plural(o.connections, "client") + " in " + brief(time.Since(begun)), err
		}},
		{"capture lists the flows to " + blocked, s.capture},
		{"policy v2 blocks that network: a new one is refused", s.update},
		{"the old connections live on, under their old rules", s.oldLive},
		{"flush the flows to " + blocked, s.flush},
		{"every flushed connection is reset", s.oldReset},
		{"coming back, they are refused; so is a new one", s.newRefused},
		{"the operation's results list every one of them", s.resultsListed},
		{"no other connection noticed", s.othersUntouched},
	}
}

func toBlocked(a netip.AddrPort) bool { return netip.MustParsePrefix(blocked).Contains(a.Addr()) }

// connections returns the connections to the blocked network.
func connections(s hosts.Snapshot) hosts.Snapshot {
	return slices.DeleteFunc(slices.Clone(s), func(c hosts.Status) bool { return !toBlocked(c.Remote) })
}

// endpoint reads one end of a flow of the results.
func endpoint(a *types.Address, port *string) (netip.AddrPort, error) {
	if a == nil {
		return netip.AddrPort{}, errors.New("the results have a flow without an address")
	}
	addr, err := netip.ParseAddr(aws.ToString(a.AddressDefinition))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the results: %w", err)
	}
	n, err := strconv.ParseUint(aws.ToString(port), 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the results: %w", err)
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// missing returns the connections of s that are not among flows.
func missing(s hosts.Snapshot, flows []types.Flow) ([]netip.AddrPort, error) {
	want := map[netip.AddrPort]bool{}
	for _, c := range s {
		want[c.Local] = true
	}
	for _, f := range flows {
		from, err := endpoint(f.SourceAddress, f.SourcePort)
		if err != nil {
			return nil, err
		}
		delete(want, from)
	}
	return slices.Collect(maps.Keys(want)), nil
}

func (s *script) capture(ctx context.Context) (string, error) {
	want := connections(s.world.hosts.Snapshot())
	_, flows, took, err := s.world.operation(ctx, false)
	if err != nil {
		return "", err
	}
	lost, err := missing(want, flows)
	if err != nil {
		return "", err
	}
	if len(lost) > 0 || len(flows) != len(want) {
		return "", fmt.Errorf("%d clients are connected there, %d flows were captured; missing are %v", len(want), len(flows), lost)
	}
	return fmt.Sprintf("%s in %s", plural(len(flows), "flow"), brief(took)), nil
}

func (s *script) update(ctx context.Context) (string, error) {
	begun := time.Now()
	if err := s.world.updateRules(ctx, rulesV2); err != nil {
		return "", err
	}
	took := time.Since(begun)
	s.updated = s.world.hosts.Snapshot()
	return "in force after " + brief(took), s.refused(ctx)
}

// refused checks that a new connection to the blocked network is refused.
func (s *script) refused(ctx context.Context) error {
	try, err := s.world.hosts.Try(ctx, s.victim)
	if err == nil && try.State != hosts.Refused {
		err = fmt.Errorf("a new connection to %v is %v, not refused", s.victim.Addr, try.State)
	}
	return err
}

// each waits until ok holds for all clients that are, or are not, connected to
// the blocked network. before is how they were.
func (s *script) each(ctx context.Context, before hosts.Snapshot, toBlockedNet bool, ok func(before, now *hosts.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	var laggard *hosts.Status
	err := s.world.hosts.Wait(ctx, func(now hosts.Snapshot) bool {
		for i := range before {
			if toBlocked(before[i].Remote) == toBlockedNet && !ok(&before[i], &now[i]) {
				laggard = &now[i]
				return false
			}
		}
		return true
	})
	if err != nil && laggard != nil {
		err = fmt.Errorf("%s to %v is %v (%v): %w", laggard.Name, laggard.Remote, laggard.State, laggard.Err, err)
	}
	return err
}

// undisturbed reports whether a client has not lost its connection since before.
func undisturbed(before, now *hosts.Status) bool {
	return now.State == hosts.Live && now.Times == before.Times
}

// grown waits until clients have had new answers on the connections of before.
func (s *script) grown(ctx context.Context, before hosts.Snapshot, toBlockedNet bool) error {
	err := s.each(ctx, before, toBlockedNet, func(before, now *hosts.Status) bool { return now.Bytes > before.Bytes })
	if err != nil {
		return err
	}
	for i, now := range s.world.hosts.Snapshot() {
		if toBlocked(now.Remote) == toBlockedNet && !undisturbed(&before[i], &now) {
			return fmt.Errorf("%s to %v has lost its connection: %v", now.Name, now.Remote, now.Err)
		}
	}
	return nil
}

func (s *script) oldLive(ctx context.Context) (string, error) {
	return fmt.Sprintf("all %d get answers", len(connections(s.updated))), s.grown(ctx, s.updated, true)
}

func (s *script) flush(ctx context.Context) (string, error) {
	s.flushed = s.world.hosts.Snapshot()
	var took time.Duration
	var err error
	if _, s.flows, took, err = s.world.operation(ctx, true); err != nil {
		return "", err
	}
	s.done = time.Now()
	return fmt.Sprintf("%s in %s", plural(len(s.flows), "flow"), brief(took)), nil
}

func (s *script) oldReset(ctx context.Context) (string, error) {
	err := s.each(ctx, s.flushed, true, func(before, now *hosts.Status) bool {
		return now.Times[hosts.Reset] > before.Times[hosts.Reset]
	})
	return fmt.Sprintf("%d resets within %s", len(connections(s.flushed)), brief(time.Since(s.done))), err
}

func (s *script) newRefused(ctx context.Context) (string, error) {
	err := s.each(ctx, s.flushed, true, func(before, now *hosts.Status) bool {
		return now.Times[hosts.Refused] > before.Times[hosts.Refused]
	})
	if err != nil {
		return "", err
	}
	for i, now := range s.world.hosts.Snapshot() {
		if toBlocked(now.Remote) && now.Times[hosts.Live] > s.flushed[i].Times[hosts.Live] {
			return "", fmt.Errorf("%s got through to %v again", now.Name, now.Remote)
		}
	}
	return fmt.Sprintf("%d of %[1]d refused", len(connections(s.flushed))), s.refused(ctx)
}

func (s *script) resultsListed(context.Context) (string, error) {
	want := connections(s.flushed)
	lost, err := missing(want, s.flows)
	if err != nil {
		return "", err
	}
	if len(lost) > 0 {
		return "", fmt.Errorf("the results lack %v", lost)
	}
	for _, f := range s.flows {
		to, err := endpoint(f.DestinationAddress, f.DestinationPort)
		if err != nil {
			return "", err
		}
		if !toBlocked(to) {
			return "", fmt.Errorf("the results list a flow to %v", to)
		}
	}
	// What else it lists are attempts that were refused before the flush.
	return fmt.Sprintf("%d and %s", len(want), plural(len(s.flows)-len(want), "refused one")), nil
}

func (s *script) othersUntouched(ctx context.Context) (string, error) {
	return fmt.Sprintf("%d clients undisturbed", len(s.flushed)-len(connections(s.flushed))), s.grown(ctx, s.flushed, false)
}
