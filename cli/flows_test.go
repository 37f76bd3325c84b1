package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// TestGolden holds whole conversations.
func TestGolden(t *testing.T) {
	const us1a, us1b = "us-east-1a", "us-east-1b"
	const endpoint, association = "vpce-0a1b2c3d", "arn:aws:network-firewall:us-east-1:111122223333:vpc-endpoint-association/0af3c3a8"
	at := func(places ...string) func(*session) {
		return func(s *session) {
			for _, p := range places {
				s.api.flows[p] = s.api.flows[us1b]
			}
		}
	}
	for _, c := range []struct {
		name  string
		args  string
		setup func(*session)
	}{
		{"help", "", nil},
		{"help-flush", "flows flush --help", nil},
		{"version", "version", nil},
		{"list", "flows list", nil},
		{"list-one-zone", "flows list --zone us-east-1a --sort src --limit 2", nil},
		{"list-endpoint", "flows list --endpoint " + endpoint, at(endpoint)},
		{"list-endpoints", "flows list --endpoint " + endpoint + " --endpoint " + association + " -o csv", at(endpoint, association)},
		{"list-endpoint-busy", "flows list --endpoint " + endpoint, func(s *session) { at(endpoint)(s); s.api.throttled[endpoint] = 1000 }},
		{"flush-endpoint-prompt", "flows flush --all --endpoint " + association, func(s *session) { at(association)(s); s.terminal("y\n") }},
		{"flush-endpoint-own", "flows flush --all --yes --exception reject --endpoint " + endpoint, at(endpoint)},
		{"flush-endpoint-failed", "flows flush --all --yes --endpoint " + endpoint + " --endpoint " + association, func(s *session) {
			at(endpoint, association)(s)
			s.api.fail["DescribeFlowOperation"] = wire.InternalServerError("try later")
		}},
		{"stale-endpoint", "flows stale --endpoint " + endpoint + " -o ndjson", func(s *session) { s.api.flows[endpoint] = s.api.flows[us1a] }},
		{"top-endpoint", "flows top --endpoint " + association, at(association)},
		{"endpoint-and-zone", "flows list --endpoint " + endpoint + " --zone us-east-1a", nil},
		{"endpoint-that-is-none", "flows list --endpoint us-east-1a", nil},
		{"list-narrow", "flows list", func(s *session) { s.terminal(""); s.env.Width = 60 }},
		{"list-very-narrow", "flows list", func(s *session) { s.terminal(""); s.env.Width = 40; s.vars["NO_COLOR"] = "1" }},
		{"list-json", "flows list -o json --sort bytes", nil},
		{"list-ndjson", "flows list -o ndjson --limit 1", nil},
		{"list-csv", "flows list -o csv", nil},
		{"list-empty-json", "flows list -o json --zone us-east-1c", func(s *session) { s.api.flows["us-east-1c"] = nil }},
		{"list-progress", "flows list --zone us-east-1a", func(s *session) { s.terminal(""); s.api.polls = 3 }},
		{"list-hostile", "flows list --zone us-east-1a", func(s *session) {
			s.terminal("")
			s.api.flows[us1a][0].SourceAddress.AddressDefinition = wire.Ptr("\x1b]0;owned\a")
		}},
		{"list-throttled", "flows list --zone us-east-1a", func(s *session) { s.api.throttled[us1a] = 3 }},
		{"list-busy", "flows list --zone us-east-1a", func(s *session) { s.api.throttled[us1a] = 1000 }},
		{"list-partial", "flows list", func(s *session) { s.api.status[us1a] = "COMPLETED_WITH_ERRORS" }},
		{"list-one-zone-fails", "flows list", func(s *session) { s.api.fail["Start us-east-1b"] = wire.InternalServerError("no node") }},
		{"list-all-fail", "flows list", func(s *session) { s.api.status[us1a], s.api.status[us1b] = "FAILED", "FAILED" }},
		{"list-times-out", "flows list --zone us-east-1a --timeout 30s", func(s *session) { s.api.polls = 1000 }},
		{"list-unknown-operation", "flows list --operation nope --zone us-east-1a", nil},
		{"capture", "flows capture", nil},
		{"capture-csv", "flows capture -o csv", func(s *session) { s.api.fail["Start us-east-1b"] = wire.InternalServerError("no node") }},
		{"flush-yes", "flows flush --src 10.0.1.0/24 --yes", nil},
		{"flush-yes-json", "flows flush --all --zone us-east-1b --yes -o json", nil},
		{"flush-prompt-yes", "flows flush --src 10.0.1.0/24 --proto tcp --min-age 60 --zone us-east-1a", func(s *session) { s.terminal("y\n") }},
		{"flush-prompt-no", "flows flush --all", func(s *session) { s.terminal("\n") }},
		{"flush-prompt-eof", "flows flush --all", func(s *session) { s.terminal("") }},
		{"flush-prompt-nothing", "flows flush --dport 22 --zone us-east-1c", func(s *session) { s.terminal("y\n"); s.api.flows["us-east-1c"] = nil }},
		{"flush-prompt-unsure", "flows flush --dport 22 --zone us-east-1a", func(s *session) { s.terminal("n\n"); s.api.status[us1a] = "COMPLETED_WITH_ERRORS" }},
		{"flush-dry-run", "flows flush --all --dry-run --zone us-east-1a", nil},
		{"flush-nothing", "flows flush --dport 22 --zone us-east-1c --yes", func(s *session) { s.api.flows["us-east-1c"] = nil }},
		{"flush-results-lost", "flows flush --all --yes --zone us-east-1a", func(s *session) {
			s.api.fail["ListFlowOperationResults"] = wire.InternalServerError("try later")
		}},
		{"flush-count-failed", "flows flush --all", func(s *session) { s.terminal("y\n"); s.api.status[us1b] = "FAILED" }},
		{"flush-partial", "flows flush --all --yes --zone us-east-1a", func(s *session) { s.api.status[us1a] = "COMPLETED_WITH_ERRORS" }},
		{"dry-run-failed", "flows flush --all --dry-run", func(s *session) { s.api.status[us1a], s.api.status[us1b] = "FAILED", "FAILED" }},
		{"flush-own", "flows flush --all --yes --exception reject --zone us-east-1a", nil},
		{"flush-own-prompt", "flows flush --dport 443 --protect-src 10.0.9.0/24 --zone us-east-1a", func(s *session) { s.terminal("y\n") }},
		{"flush-own-dry-run", "flows flush --all --both-directions --dry-run --zone us-east-1a", nil},
		{"flush-own-of-aws", "flows flush --all --yes --exception reject", func(s *session) { s.api.aws = true }},
		{"flush-own-prompt-of-aws", "flows flush --all --both-directions", func(s *session) { s.terminal("y\n"); s.api.aws = true }},
		{"top", "flows top", nil},
		{"top-limit-json", "flows top --sort age --limit 1 -o json", nil},
		{"top-csv", "flows top --sort packets --zone us-east-1a -o csv", nil},
		{"top-of-aws", "flows top", func(s *session) { s.api.aws = true }},
		{"help-top", "flows top --help", nil},
		{"stale", "flows stale", nil},
		{"stale-ndjson", "flows stale --zone us-east-1a -o ndjson", nil},
		{"stale-none", "flows stale", func(s *session) { s.api.stale = nil }},
		{"stale-of-aws", "flows stale", func(s *session) { s.api.aws = true }},
		{"stale-flush-prompt", "flows stale --flush --zone us-east-1a", func(s *session) { s.terminal("y\n") }},
		{"stale-flush-yes", "flows stale --flush --yes --exception reject --zone us-east-1a", nil},
		{"stale-flush-nothing", "flows stale --flush --zone us-east-1a", func(s *session) { s.terminal("y\n"); s.api.stale = nil }},
		{"help-stale", "flows stale --help", nil},
		{"flush-failed", "flows flush --all --yes", func(s *session) { s.api.status[us1b] = "FAILED" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(t)
			if c.setup != nil {
				c.setup(s)
			}
			s.golden(c.name, s.run(t.Context(), strings.Fields(c.args)...))
		})
	}
}

func TestUsageErrors(t *testing.T) {
	const three = " --dst 10.0.0.0/8,11.0.0.0/8,12.0.0.0/8"
	for args, want := range map[string]string{
		"flow":                                          `did you mean flows?`,
		"flows lst":                                     `did you mean list?`,
		"flows list extra":                              `takes no arguments`,
		"flows list --bogus":                            `unknown flag`,
		"flows list -o xml":                             `choose one of table, json`,
		"flows list --sort age,bytes":                   `choose one of age`,
		"flows list --limit -1":                         `must not be negative`,
		"flows list --src 10.0.0":                       `neither an IP address nor a prefix`,
		"flows list --src 10.0.0.1/8":                   `did you mean 10.0.0.0/8 or 10.0.0.1?`,
		"flows list --src fe80::1%eth0":                 `neither an IP address`,
		"flows list --sport 70000":                      `neither a port`,
		"flows list --dport 20:10":                      `neither a port`,
		"flows list --proto tpc":                        `neither tcp`,
		"flows list --proto 256":                        `neither tcp`,
		"flows list --min-age 1.5":                      `neither whole seconds`,
		"flows list --min-age -5":                       `neither whole seconds`,
		"flows list --min-age 90000h":                   ``, // fits into 32 bits
		"flows list --min-age 900000h":                  `neither whole seconds`,
		"flows list --src ::1 --dst 1.1.1.1":            `different IP versions`,
		"flows list --operation x --src ::1":            `leave out the filters`,
		"flows top --sort src":                          `choose one of age, bytes, idle, packets`,
		"flows top --limit 101":                         `choose 1 to 100`,
		"flows top --interval 1ms":                      `choose 100ms or more`,
		"flows stale --flush":                           `say --yes`,
		"flows stale --yes":                             `are for --flush`,
		"flows stale --exception drop":                  `are for --flush`,
		"flows flush --yes":                             `say which flows`,
		"flows flush --all --yes --exception nothing":   `choose one of drop, reject, continue`,
		"flows flush --all --yes --protect-src 10.0.0":  `--protect-src: "10.0.0" is neither`,
		"flows flush --all --yes --protect-sport 70000": `--protect-sport:`,
		"flows flush --yes --protect-src 10.0.0.1":      `say which flows`,
		"flows flush --all --yes --protect-src ::1 --protect-dst 1.1.1.1": `--protect-src and --protect-dst are of different IP versions`,
		"flows flush --all":                 `say --yes`,
		"flows flush --all --src ::1 --yes": `exclude each other`,
		"flows flush --yes --src 10.1.0.0/16 --src 10.2.0.0/16 --sport 1,2,3,4" + three: `24 filters are needed for 2 --src x 3 --dst x 4 --sport, and an operation takes 20 at most`,
	} {
		s := newSession(t)
		code := s.run(t.Context(), strings.Fields(args)...)
		if want == "" {
			if code != ExitOK {
				t.Errorf("%s: exit %d: %s", args, code, s.errs.String())
			}
			continue
		}
		if code != ExitUsage || !strings.Contains(s.errs.String(), want) || len(s.api.started) > 0 {
			t.Errorf("%s: exit %d, started %v: %s; want %q", args, code, s.api.started, s.errs.String(), want)
		}
	}
}

func TestFilters(t *testing.T) {
	for args, want := range map[string]string{
		"": `[{"SourceAddress":{"AddressDefinition":"0.0.0.0/0"}},{"SourceAddress":{"AddressDefinition":"::/0"}}]`,
		"--src 10.0.1.0/24 --dport 443 --proto tcp --proto 17": `[{"DestinationPort":"443","Protocols":["6","17"],"SourceAddress":{"AddressDefinition":"10.0.1.0/24"}}]`,
		"--dst ::1,::1 --sport 1000-2000 --sport ANY":          `[{"DestinationAddress":{"AddressDefinition":"::1"},"SourcePort":"1000:2000"},{"DestinationAddress":{"AddressDefinition":"::1"},"SourcePort":"ANY"}]`,
		"--src 10.0.0.1 --src ::1 --dst 10.0.0.2,::2":          `[{"DestinationAddress":{"AddressDefinition":"10.0.0.2"},"SourceAddress":{"AddressDefinition":"10.0.0.1"}},{"DestinationAddress":{"AddressDefinition":"::2"},"SourceAddress":{"AddressDefinition":"::1"}}]`,
		"--proto ICMPv6,sctp,icmp,udp,0":                       `[{"Protocols":["58","132","1","17","0"]}]`,
	} {
		s := newSession(t)
		if code := s.run(t.Context(), append([]string{"flows", "list", "--zone", "us-east-1a"}, strings.Fields(args)...)...); code != ExitOK {
			t.Errorf("%q: exit %d: %s", args, code, s.errs.String())
			continue
		}
		if got := s.filters(); got != want {
			t.Errorf("%q:\n got %s\nwant %s", args, got, want)
		}
	}
}

func TestMinimumAge(t *testing.T) {
	for arg, want := range map[string]int32{"0": 0, "90": 90, "90s": 90, "5m": 300, "1h30m": 5400} {
		s := newSession(t)
		s.run(t.Context(), "flows", "list", "--min-age", arg)
		if got := s.api.last.MinimumFlowAgeInSeconds; got == nil || *got != want {
			t.Errorf("--min-age %s: %v", arg, got)
		}
	}
	s := newSession(t)
	s.run(t.Context(), "flows", "list")
	if got := s.api.last.MinimumFlowAgeInSeconds; got != nil {
		t.Errorf("no --min-age: %d", *got)
	}
}

func TestChoosingTheFirewall(t *testing.T) {
	for _, c := range []struct {
		firewalls []string
		args      string
		code      int
		want      string // arn's name, or part of the error
	}{
		{[]string{"edge"}, "", ExitOK, "edge"},
		{[]string{"edge", "core"}, "", ExitUsage, "choose one with --firewall (core, edge)"},
		{[]string{"edge", "core", "third"}, "", ExitUsage, "(core, edge, ...)"},
		{nil, "", ExitError, "there is no firewall"},
		{[]string{"edge", "core"}, "--firewall core", ExitOK, "core"},
		{[]string{"edge", "core"}, "--firewall " + edgeARN, ExitOK, "edge"},
		{[]string{"edge"}, "--firewall nope", ExitError, "firewall nope does not exist"},
	} {
		s := newSession(t)
		s.api.firewalls = c.firewalls
		code := s.run(t.Context(), append([]string{"flows", "list"}, strings.Fields(c.args)...)...)
		if code != c.code {
			t.Errorf("%v %s: exit %d: %s", c.firewalls, c.args, code, s.errs.String())
		} else if code == ExitOK && !strings.HasSuffix(*s.api.last.FirewallArn, "/"+c.want) {
			t.Errorf("%v %s: took %s", c.firewalls, c.args, *s.api.last.FirewallArn)
		} else if code != ExitOK && !strings.Contains(s.errs.String(), c.want) {
			t.Errorf("%v %s: %s", c.firewalls, c.args, s.errs.String())
		}
	}
	s := newSession(t)
	s.api.flows = nil
	if code := s.run(t.Context(), "flows", "list"); code != ExitError || !strings.Contains(s.errs.String(), "no Availability Zone yet") {
		t.Errorf("firewall without zones: exit %d: %s", code, s.errs.String())
	}
}

// TestFlushStartsOnlyWhatItShould checks which operations run in which case.
func TestFlushStartsOnlyWhatItShould(t *testing.T) {
	for _, c := range []struct {
		args  string
		tty   bool
		input string
		want  []string
	}{
		{"--all --yes --zone us-east-1a", false, "", []string{"flush us-east-1a"}},
		{"--all --yes", false, "", []string{"flush us-east-1a", "flush us-east-1b"}},
		{"--all --yes --dry-run --zone us-east-1a", false, "", []string{"capture us-east-1a"}},
		{"--all --dry-run --zone us-east-1a", false, "", []string{"capture us-east-1a"}},
		{"--all --zone us-east-1a", true, "yes\n", []string{"capture us-east-1a", "flush us-east-1a"}},
		{"--all --zone us-east-1a --zone us-east-1a", true, "Y\n", []string{"capture us-east-1a", "flush us-east-1a"}},
		{"--all --zone us-east-1a", true, "maybe\n", []string{"capture us-east-1a"}},
		{"--all --zone us-east-1a --yes", true, "", []string{"flush us-east-1a"}},
		{"--all --yes --zone us-east-1a --protect-dport 22", false, "", []string{"own_flush us-east-1a"}},
		{"--all --yes --dry-run --zone us-east-1a --both-directions", false, "", nil},
		{"--all --zone us-east-1a --exception drop", true, "n\n", nil},
	} {
		s := newSession(t)
		if c.tty {
			s.terminal(c.input)
		}
		code := s.run(t.Context(), append([]string{"flows", "flush"}, strings.Fields(c.args)...)...)
		if code != ExitOK || !slices.Equal(s.api.started, c.want) {
			t.Errorf("%s %q: exit %d, started %v, want %v: %s", c.args, c.input, code, s.api.started, c.want, s.errs.String())
		}
	}
}

func TestThrottlingWaitsAsLongAsTold(t *testing.T) {
	s := newSession(t)
	s.api.throttled["us-east-1a"] = 1000
	if code := s.run(t.Context(), "flows", "flush", "--all", "--yes", "--zone", "us-east-1a", "--wait", "20s"); code != ExitError {
		t.Errorf("exit %d", code)
	}
	if s.slept != 20*time.Second {
		t.Errorf("waited %s", s.slept)
	}
	if n := strings.Count(s.errs.String(), "waiting for up to 20s"); n != 1 {
		t.Errorf("told %d times: %s", n, s.errs.String())
	}
}

func TestInterrupt(t *testing.T) {
	t.Run("flush in progress", func(t *testing.T) {
		s := newSession(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.api.polls, s.onWait = 1000, cancel
		s.golden("interrupt-flush", s.run(ctx, "flows", "flush", "--all", "--yes", "--endpoint-url", "http://fw:4580"))
	})
	t.Run("flush being started", func(t *testing.T) {
		s := newSession(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.api.fail["Start"] = context.Canceled
		s.api.hook = func(op string) {
			if op == "Start" {
				cancel()
			}
		}
		s.golden("interrupt-start", s.run(ctx, "flows", "flush", "--all", "--yes", "--zone", "us-east-1a"))
	})
	t.Run("prompt", func(t *testing.T) {
		s := newSession(t)
		s.terminal("")
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		defer w.Close()
		s.env.Stdin = readHook{r, cancel}
		code := s.run(ctx, "flows", "flush", "--all")
		if code != ExitError || !strings.Contains(s.errs.String(), "nothing was flushed") || slices.Contains(s.api.started, "flush us-east-1a") {
			t.Errorf("exit %d, started %v: %s", code, s.api.started, s.errs.String())
		}
	})
}

// readHook calls its function before it reads.
type readHook struct {
	io.Reader
	before func()
}

func (r readHook) Read(p []byte) (int, error) { r.before(); return r.Reader.Read(p) }

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWriteErrors(t *testing.T) {
	for _, args := range []string{"flows list", "flows list -o json", "flows list -o csv", "flows list -o ndjson", "flows capture", "flows flush --all --yes -o json"} {
		s := newSession(t)
		s.env.Stdout = failingWriter{}
		if code := s.run(t.Context(), strings.Fields(args)...); code != ExitError || !strings.Contains(s.errs.String(), "no space left") {
			t.Errorf("%s: exit %d: %s", args, code, s.errs.String())
		}
	}
}

// TestFormatsAgree reads the three formats for scripts back.
func TestFormatsAgree(t *testing.T) {
	s := newSession(t)
	s.run(t.Context(), "flows", "list", "-o", "json")
	var doc struct{ Flows []flowRow }
	if err := json.Unmarshal(s.out.Bytes(), &doc); err != nil || len(doc.Flows) != 4 {
		t.Fatalf("%d flows: %v", len(doc.Flows), err)
	}
	s = newSession(t)
	s.run(t.Context(), "flows", "list", "-o", "ndjson")
	var lines []flowRow
	for dec := json.NewDecoder(&s.out); dec.More(); {
		var f flowRow
		if err := dec.Decode(&f); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, f)
	}
	s = newSession(t)
	s.run(t.Context(), "flows", "list", "-o", "csv")
	records, err := csv.NewReader(&s.out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(lines, doc.Flows) || len(records) != 5 || !slices.Equal(records[0], flowColumns) {
		t.Fatalf("json %v\nndjson %v\ncsv %v", doc.Flows, lines, records)
	}
	for i, f := range doc.Flows {
		if !slices.Equal(records[i+1], f.record()) {
			t.Errorf("csv %v, json %v", records[i+1], f)
		}
	}
}

// TestOverHTTP runs through the real client and the real wire format.
func TestOverHTTP(t *testing.T) {
	s := newSession(t)
	s.serve()
	s.api.throttled["us-east-1a"] = 4 // more than the client retries by itself
	if code := s.run(t.Context(), "flows", "flush", "--src", "10.0.1.0/24", "--yes"); code != ExitOK {
		t.Fatalf("exit %d: %s", code, s.errs.String())
	}
	if want := "Flushed 3 flows in zone us-east-1a"; !strings.Contains(s.out.String(), want) {
		t.Errorf("got %q, want %q", s.out.String(), want)
	}
	if !strings.Contains(s.errs.String(), "already running") {
		t.Errorf("no word of the throttling: %q", s.errs.String())
	}
	if code := s.run(t.Context(), "flows", "list", "--firewall", "nope"); code != ExitError || !strings.Contains(s.errs.String(), "ResourceNotFoundException") {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
	if code := s.run(t.Context(), "flows", "list", "--endpoint-url", "not a url"); code != ExitError || !strings.Contains(s.errs.String(), "is not a URL") {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
}
