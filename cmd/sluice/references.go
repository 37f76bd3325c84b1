package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/resource"
)

// maxReferenceFile bounds a file of networks, in bytes: more than 50,000 IPv6
// networks take.
const maxReferenceFile = 8 << 20

// referenceSets is what control.Control knows of reference sets.
type referenceSets interface {
	ListReferenceSets(ctx context.Context) ([]resource.ReferenceSet, error)
	SetReferenceSet(ctx context.Context, arn string, cidrs []netip.Prefix) error
}

// applyReferenceSets puts the configured sets that differ from those of the
// store there. Others are left alone.
func applyReferenceSets(ctx context.Context, store referenceSets, configured map[string][]string, log *slog.Logger) error {
	if len(configured) == 0 {
		return nil
	}
	stored, err := store.ListReferenceSets(ctx)
	if err != nil {
		return fmt.Errorf("read the reference sets: %w", err)
	}
	for _, arn := range slices.Sorted(maps.Keys(configured)) {
		cidrs, err := readReferenceSet(configured[arn])
		if err != nil {
			return fmt.Errorf("reference_sets.%s: %w", arn, err)
		}
		if slices.ContainsFunc(stored, func(s resource.ReferenceSet) bool { return s.ARN == arn && slices.Equal(s.CIDRs, cidrs) }) {
			continue
		}
		if err := store.SetReferenceSet(ctx, arn, cidrs); err != nil {
			return fmt.Errorf("reference_sets.%s: %w", arn, err)
		}
		log.Info("reference set changed", slog.String("arn", arn), slog.Int("networks", len(cidrs)))
	}
	return nil
}

// readReferenceSet returns the networks of a set, masked, in order and each once.
func readReferenceSet(items []string) ([]netip.Prefix, error) {
	cidrs := []netip.Prefix{}
	for _, item := range items {
		if !filepath.IsAbs(item) {
			p, err := parseNetwork(item)
			if err != nil {
				return nil, err
			}
			cidrs = append(cidrs, p)
			continue
		}
		listed, err := readNetworks(item)
		if err != nil {
			return nil, err
		}
		cidrs = append(cidrs, listed...)
	}
	slices.SortFunc(cidrs, netip.Prefix.Compare)
	return slices.Compact(cidrs), nil
}

// readNetworks reads a file with a network on each line.
func readNetworks(path string) (cidrs []netip.Prefix, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxReferenceFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxReferenceFile:
		return nil, fmt.Errorf("%s is larger than %d bytes: split it into several sets", path, maxReferenceFile)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p, err := parseNetwork(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		cidrs = append(cidrs, p)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cidrs, nil
}

// parseNetwork reads a network in CIDR form, or an address as a network of its own.
func parseNetwork(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, fmt.Errorf("%.60q is no network: write one in CIDR form, such as 10.0.0.0/8 or fd00::/8", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	return p.Masked(), nil
}
