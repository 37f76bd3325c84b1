package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicefw/sluice/resource"
)

// fakeSets is a store of reference sets that notes what is set.
type fakeSets struct {
	stored []resource.ReferenceSet
	set    map[string][]netip.Prefix
	err    error
}

func (f *fakeSets) ListReferenceSets(context.Context) ([]resource.ReferenceSet, error) {
	return f.stored, nil
}

func (f *fakeSets) SetReferenceSet(_ context.Context, arn string, cidrs []netip.Prefix) error {
	f.set[arn] = cidrs
	return f.err
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// TestApplyReferenceSets: only what differs is written.
func TestApplyReferenceSets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	text := "# blocked\n10.2.0.0/16 # all of it\n\n 192.0.2.1 \r\n2001:db8::1/32\n10.1.0.0/16\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := prefixes("10.1.0.0/16", "10.2.0.0/16", "192.0.2.1/32", "2001:db8::/32")
	sets := &fakeSets{set: map[string][]netip.Prefix{}, stored: []resource.ReferenceSet{
		{ARN: "arn:same", CIDRs: whole}, {ARN: "arn:other", CIDRs: whole}, {ARN: "arn:gone", CIDRs: whole}, {ARN: "arn:empty", CIDRs: []netip.Prefix{}},
	}}
	err := applyReferenceSets(t.Context(), sets, map[string][]string{
		"arn:same": {file, "10.1.5.0/16"}, "arn:other": {"10.3.0.0/16"}, "arn:new": {file}, "arn:empty": {}, "arn:newly-empty": nil,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]netip.Prefix{"arn:other": prefixes("10.3.0.0/16"), "arn:new": whole, "arn:newly-empty": nil}
	for arn, cidrs := range sets.set {
		w, ok := want[arn]
		if !ok || !slices.Equal(cidrs, w) {
			t.Errorf("%s was set to %v", arn, cidrs)
		}
	}
	if len(sets.set) != len(want) {
		t.Errorf("set %v", sets.set)
	}
}

func TestBadReferenceSets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ item, want string }{
		{filepath.Join(dir, "none"), "no such file"},
		{write("bad", "10.0.0.0/8\nten\n"), `bad:2: "ten" is no network`},
		{write("zone", "fe80::1%eth0\n"), `zone:1: "fe80::1%eth0" is no network`},
		{write("long", strings.Repeat("1", 1<<17)), "token too long"},
		{write("large", strings.Repeat("#\n", maxReferenceFile)), "is larger than"},
	} {
		sets := &fakeSets{set: map[string][]netip.Prefix{}}
		err := applyReferenceSets(t.Context(), sets, map[string][]string{"arn:x": {c.item}}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "reference_sets.arn:x: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.item, err, c.want)
		}
		if len(sets.set) != 0 {
			t.Errorf("%s was set", c.item)
		}
	}
	refused := &fakeSets{set: map[string][]netip.Prefix{}, err: errors.New("refused")}
	if err := applyReferenceSets(t.Context(), refused, map[string][]string{"arn:x": nil}, slog.New(slog.DiscardHandler)); !errors.Is(err, refused.err) {
		t.Errorf("%v, want what the store says", err)
	}
}

// TestServeAppliesReferenceSets: serve writes what is configured, once, and does
// not start with what it cannot read.
func TestServeAppliesReferenceSets(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SLUICE_REFERENCE_SETS", "{arn:aws:ec2:us-east-1:000000000000:prefix-list/pl-1: [10.9.0.0/16]}")
	p := startServe(t, dir, (*exec.Cmd).Start, "--no-engine")
	if l := p.line(t, "reference set changed"); !strings.Contains(l, "networks=1") {
		t.Error(l)
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p = startServe(t, dir, (*exec.Cmd).Start, "--no-engine")
	p.line(t, "msg=serving")
	if slices.ContainsFunc(p.said, func(l string) bool { return strings.Contains(l, "reference set changed") }) {
		t.Error("the same set was written again")
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLUICE_REFERENCE_SETS", "{arn:x: [/no/such/file]}")
	out, err := command("serve", "--no-engine", "--data-dir", dir, "--listen", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "reference_sets.arn:x: open /no/such/file") {
		t.Errorf("%v: %s", err, out)
	}
}
