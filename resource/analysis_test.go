package resource

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func rows(n int) []AnalysisRow {
	all := make([]AnalysisRow, n)
	first := time.Date(2026, 11, 1, 0, 0, 0, 5, time.UTC)
	for i := range all {
		all[i] = AnalysisRow{Domain: fmt.Sprintf("h%d.example", i), Hits: 1 << 60, Sources: uint64(i), First: first, Last: first.Add(time.Hour)}
	}
	return all
}

func packed(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.Bytes()
}

func TestAnalysisRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, MaxAnalysisRows} {
		want := rows(n)
		b, err := EncodeAnalysis(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeAnalysis(b)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d rows: got %d, %v", n, len(got), err)
		}
		if len(b) > 1<<20 {
			t.Errorf("%d rows take %d bytes", n, len(b))
		}
	}
}

func TestDecodeAnalysisIsBounded(t *testing.T) {
	tooMany, err := EncodeAnalysis(rows(MaxAnalysisRows + 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"nothing":        nil,
		"not gzip":       []byte("[]"),
		"too many":       tooMany,
		"too many nulls": packed("[" + strings.Repeat("null,", 5<<20) + "null]"),
		"too long":       packed(`[{"d":"` + strings.Repeat("x", 64<<20) + `"}]`),
		"no list":        packed(`{"d":"x"}`),
		"no end":         packed(`[{"d":"x"}`),
		"no row":         packed(`["x"]`),
	} {
		if _, err := DecodeAnalysis(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzDecodeAnalysis(f *testing.F) {
	b, err := EncodeAnalysis(rows(2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(packed(`[{"d":"x","f":"2026-11-01T00:00:00Z"},null]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := DecodeAnalysis(b); err == nil && len(got) > MaxAnalysisRows {
			t.Errorf("%d rows", len(got))
		}
	})
}

func TestEndpoints(t *testing.T) {
	f := Firewall{
		Subnets:      []Subnet{{ID: "subnet-a", Zone: "a", EndpointID: "vpce-1"}, {ID: "subnet-b", Zone: "a", EndpointID: "vpce-2"}},
		ZoneMappings: []ZoneMapping{{Zone: "b", EndpointID: "vpce-3"}, {Zone: "a", EndpointID: "vpce-4"}},
	}
	if got, want := fmt.Sprint(f.Endpoints()), "[{a vpce-1 subnet-a} {a vpce-2 subnet-b} {b vpce-3 } {a vpce-4 }]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := fmt.Sprint(f.Zones()), "[a b]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
