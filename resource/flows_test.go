package resource

import (
	"bytes"
	"compress/gzip"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

func flows(n int) []FlowRecord {
	records := make([]FlowRecord, n)
	for i := range records {
		records[i] = FlowRecord{
			Src: netip.MustParseAddr("10.0.1.23").As16(), Dst: netip.MustParseAddr("2001:db8::1").As16(),
			SrcPort: uint16(i), DstPort: 443, Proto: 6, Age: uint32(i) << 12, Packets: 1 << 40, Bytes: 1<<63 + uint64(i),
		}
	}
	return records
}

func TestFlowsRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 3, FlowsPerChunk} {
		want := flows(n)
		chunk := EncodeFlows(want)
		got, err := DecodeFlows(chunk)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d flows: got %d, %v", n, len(got), err)
		}
		if len(chunk) > 1<<20 {
			t.Errorf("%d flows take %d bytes", n, len(chunk))
		}
	}
	f := flows(1)[0]
	if src, dst := f.Addrs(); src.String() != "10.0.1.23" || dst.String() != "2001:db8::1" {
		t.Errorf("addresses %v %v", src, dst)
	}
}

func TestDecodeFlowsIsBounded(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 100 {
		w.Write(make([]byte, 1<<20))
	}
	w.Close()
	for name, chunk := range map[string][]byte{
		"not gzip":        []byte("flows"),
		"half a record":   EncodeFlows(flows(1))[:20],
		"too many":        EncodeFlows(flows(FlowsPerChunk + 1)),
		"a gzip bomb":     bomb.Bytes(),
		"an empty string": nil,
	} {
		if _, err := DecodeFlows(chunk); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzDecodeFlows(f *testing.F) {
	f.Add(EncodeFlows(flows(2)))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, chunk []byte) {
		got, err := DecodeFlows(chunk)
		if err != nil {
			return
		}
		again, err := DecodeFlows(EncodeFlows(got))
		if err != nil || !slices.Equal(again, got) {
			t.Errorf("re-encoded flows differ: %v", err)
		}
	})
}

func filter(t *testing.T, text string) []wire.FlowFilter {
	t.Helper()
	var request wire.StartFlowFlushRequest
	if err := wire.Decode([]byte(`{"FlowFilters":`+text+`}`), &request); err != nil {
		t.Fatal(err)
	}
	return request.FlowFilters
}

func TestParseFlowFilters(t *testing.T) {
	got, err := ParseFlowFilters(filter(t, `[{"SourceAddress":{"AddressDefinition":"10.0.1.23/24"},"DestinationPort":"443","Protocols":["6","17"]},
		{"DestinationAddress":{"AddressDefinition":"2001:db8::1"},"SourcePort":"1000:2000","DestinationPort":"any"},{}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []FlowFilter{
		{Src: netip.MustParsePrefix("10.0.1.0/24"), SrcPorts: AnyPort, DstPorts: PortRange{443, 443}, Protocols: []uint8{6, 17}},
		{Dst: netip.MustParsePrefix("2001:db8::1/128"), SrcPorts: PortRange{1000, 2000}, DstPorts: AnyPort},
		{SrcPorts: AnyPort, DstPorts: AnyPort},
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.Src != w.Src || g.Dst != w.Dst || g.SrcPorts != w.SrcPorts || g.DstPorts != w.DstPorts || !slices.Equal(g.Protocols, w.Protocols) {
			t.Errorf("filter %d: got %+v, want %+v", i, g, w)
		}
	}
}

func TestParseFlowFiltersRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`[{},{"SourceAddress":{"AddressDefinition":"10.0.0.0/33"}}]`: "SourceAddress has invalid format, parameter: [10.0.0.0/33], context: FlowFilters[1].SourceAddress",
		`[{"DestinationAddress":{"AddressDefinition":""}}]`:          "DestinationAddress has invalid format, parameter: [], context: FlowFilters[0].DestinationAddress",
		`[{"SourcePort":"http"}]`:                                    "SourcePort has invalid format, parameter: [http], context: FlowFilters[0].SourcePort",
		`[{"SourcePort":"1-2"}]`:                                     "SourcePort has invalid format, parameter: [1-2], context: FlowFilters[0].SourcePort",
		`[{"DestinationPort":"2:1"}]`:                                "DestinationPort is not within the bound, parameter: [2:1], context: FlowFilters[0].DestinationPort",
		`[{"DestinationPort":"65536"}]`:                              "DestinationPort has invalid format, parameter: [65536], context: FlowFilters[0].DestinationPort",
		`[{"Protocols":["6","TCP"]}]`:                                "Protocols has invalid format, parameter: [TCP], context: FlowFilters[0].Protocols",
		`[{"Protocols":["256"]}]`:                                    "Protocols has invalid format, parameter: [256], context: FlowFilters[0].Protocols",
	} {
		if _, err := ParseFlowFilters(filter(t, text)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParseFlowFilters(f *testing.F) {
	f.Add("10.0.0.0/8", "1:2", "6")
	f.Fuzz(func(t *testing.T, address, port, protocol string) {
		filters := []wire.FlowFilter{{SourceAddress: &wire.Address{AddressDefinition: &address}, DestinationPort: &port, Protocols: []string{protocol}}}
		p, err := ParseFlowFilters(filters)
		if err == nil && (!p[0].Src.IsValid() || p[0].DstPorts.From > p[0].DstPorts.To || p[0].Src != p[0].Src.Masked()) {
			t.Errorf("%q %q gave %+v", address, port, p[0])
		}
	})
}

func TestKeys(t *testing.T) {
	s := Scope{Account: "123456789012", Region: "us-east-1"}
	if got, want := s.FlowResult("op", "n1", 7), "/sluice/live/v1/us-east-1/flow-results/op/n1/000007"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if strings.HasPrefix(s.Nodes(), Config) {
		t.Error("nodes are inside of what watches of the configuration see")
	}
	if in, rest, ok := ScopeOf(s.Firewall("f")); in != s || rest != "firewalls/f" || !ok {
		t.Errorf("%v %q %v", in, rest, ok)
	}
	for _, key := range []string{"", "/sluice/v1/", "/sluice/v1/123456789012/us-east-1", s.Nodes()} {
		if in, rest, ok := ScopeOf(key); ok {
			t.Errorf("%q is of %v: %q", key, in, rest)
		}
	}
	for prefix, key := range map[string]string{
		s.AllFlowOperations(): s.FlowOperation("f", "z", "id"), s.AllFlowQueries(): s.FlowQuery("id"), s.AllAnalysisReports(): s.AnalysisReport("f", "id"),
	} {
		if got := AccountOf(prefix, key); got != s.Account {
			t.Errorf("%s is of account %q", key, got)
		}
	}
}
