package cli

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// screen gives the session a whole terminal, with keys.
func (s *session) screen(columns, lines int, keys string) (restored *bool) {
	s.terminal(keys)
	restored = new(bool)
	s.env.Screen = func() (int, int) { return columns, lines }
	s.env.Keys = func() (func(), error) { return func() { *restored = true }, nil }
	return restored
}

// TestTopWatches holds what the terminal gets: two frames, the second after
// something went wrong, and the terminal as it was.
func TestTopWatches(t *testing.T) {
	s := newSession(t)
	restored := s.screen(100, 6, "")
	ctx, cancel := context.WithCancel(t.Context())
	s.onWait = func() {
		if s.slept > time.Second {
			cancel()
		}
		s.api.fail["ListFlows"] = wire.InternalServerError("No answer from node n2 within 5s: try again")
	}
	s.golden("top-watch", s.run(ctx, "flows", "top"))
	if !*restored {
		t.Error("the mode of the terminal is not restored")
	}
	if n := *s.api.lastList.MaxResults; n != 3 {
		t.Errorf("asked for %d flows, the terminal has room for 3", n)
	}
}

// TestTopKeys: a key acts at once, and q ends.
func TestTopKeys(t *testing.T) {
	s := newSession(t)
	restored := s.screen(80, 24, "xpq")
	s.env.Sleep = func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
	if code := s.run(t.Context(), "flows", "top"); code != ExitOK || !*restored {
		t.Errorf("exit %d, terminal restored %v: %s", code, *restored, s.errs.String())
	}
	frames := strings.Split(s.out.String(), homeCursor)[1:]
	if len(frames) != 3 || !strings.Contains(frames[1], "by bytes") || !strings.Contains(frames[2], "by packets") || *s.api.lastList.SortBy != "PACKETS" {
		t.Errorf("%d frames, the last is %q", len(frames), frames[len(frames)-1])
	}
}

// TestTopFits: no frame has more lines, or longer ones, than the terminal.
func TestTopFits(t *testing.T) {
	for _, size := range [][2]int{{40, 5}, {60, 4}, {80, 24}, {132, 3}, {50, 1}} {
		s := newSession(t)
		s.vars["NO_COLOR"] = "1"
		s.screen(size[0], size[1], "q")
		s.env.Sleep = func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
		if code := s.run(t.Context(), "flows", "top", "--zone", "us-east-1a"); code != ExitOK {
			t.Fatalf("exit %d: %s", code, s.errs.String())
		}
		_, frame, _ := strings.Cut(s.out.String(), homeCursor)
		frame, _, _ = strings.Cut(frame, eraseBelow)
		lines := strings.Split(strings.ReplaceAll(frame, eraseRight, ""), "\n")
		if len(lines) > max(size[1], 4) {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			if n := len([]rune(l)); n > max(size[0], 46) {
				t.Errorf("%v: %d columns: %s", size, n, l)
			}
		}
	}
}

func TestTopEndsWithTheFirstError(t *testing.T) {
	s := newSession(t)
	s.screen(80, 24, "")
	s.api.fail["ListFlows"] = wire.InternalServerError("no node")
	if code := s.run(t.Context(), "flows", "top"); code != ExitError || s.out.Len() > 0 {
		t.Errorf("exit %d: %q", code, s.out.String())
	}
}

// TestOwnFlush checks what the flags become.
func TestOwnFlush(t *testing.T) {
	s := newSession(t)
	s.serve()
	if code := s.run(t.Context(), strings.Fields("flows flush --src 10.0.1.0/24 --protect-dst 192.0.2.0/24 --protect-dport 22,443 --both-directions --exception continue --min-age 5 --zone us-east-1a --yes")...); code != ExitOK {
		t.Fatalf("exit %d: %s", code, s.errs.String())
	}
	got, err := json.Marshal(s.api.lastOwn)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"AvailabilityZone":"us-east-1a","FirewallArn":"` + edgeARN + `","FlowFilters":[{"SourceAddress":{"AddressDefinition":"10.0.1.0/24"}}],"MatchEitherDirection":true,"MinimumFlowAgeInSeconds":5,` +
		`"ProtectedFlowFilters":[{"DestinationAddress":{"AddressDefinition":"192.0.2.0/24"},"DestinationPort":"22"},{"DestinationAddress":{"AddressDefinition":"192.0.2.0/24"},"DestinationPort":"443"}],"StreamExceptionPolicy":"CONTINUE"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
