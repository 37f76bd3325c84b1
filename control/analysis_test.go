package control

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

// answer is a node's result for a report.
func (w *world) answer(id, node string, r resource.AnalysisResult, rows ...resource.AnalysisRow) {
	w.t.Helper()
	r.Node = node
	if r.Done.IsZero() {
		r.Done = w.now
	}
	var err error
	if r.Rows, err = resource.EncodeAnalysis(rows); err != nil {
		w.t.Fatal(err)
	}
	w.put(w.scope.AnalysisResult(id, node), r)
}

func TestAnalysisSettings(t *testing.T) {
	w := newWorld(t, nil)
	p := w.strictPolicy("p")
	f := do(w, w.CreateFirewall, `{"FirewallName":"f","FirewallPolicyArn":%q,"VpcId":"vpc-0a","SubnetMappings":[{"SubnetId":"subnet-a"}],"EnabledAnalysisTypes":["TLS_SNI","TLS_SNI"]}`, p).Firewall
	if fmt.Sprint(f.EnabledAnalysisTypes) != "[TLS_SNI]" {
		t.Errorf("%v", f.EnabledAnalysisTypes)
	}
	created := w.now
	w.now = w.now.Add(time.Hour)
	u := do(w, w.UpdateFirewallAnalysisSettings, `{"FirewallName":"f","EnabledAnalysisTypes":["HTTP_HOST","TLS_SNI"]}`)
	if fmt.Sprint(u.EnabledAnalysisTypes) != "[HTTP_HOST TLS_SNI]" {
		t.Errorf("%v", u.EnabledAnalysisTypes)
	}
	// What was on stays on from then.
	r, _, err := read[resource.Firewall](t.Context(), w.Control, w.scope.Firewall("f"))
	if s := r.value.Analysis; err != nil || len(s) != 2 || !s[0].Since.Equal(w.now) || !s[1].Since.Equal(created) {
		t.Errorf("%v, %v", s, err)
	}
	fail(w, w.UpdateFirewallAnalysisSettings, errMissing, "", `{"FirewallName":"g"}`)
	fail(w, w.UpdateFirewallAnalysisSettings, errToken, "", `{"FirewallName":"f","UpdateToken":"00000000-0000-0000-0000-000000000000"}`)
	do(w, w.UpdateFirewallAnalysisSettings, `{"FirewallName":"f","UpdateToken":%q}`, *u.UpdateToken)
	if types := do(w, w.DescribeFirewall, `{"FirewallName":"f"}`).Firewall.EnabledAnalysisTypes; len(types) != 0 {
		t.Errorf("%v", types)
	}
}

func TestAnalysisReport(t *testing.T) {
	w, firewall := flowWorld(t) // nodes n1, n2 and m
	start := func(kind string) string {
		t.Helper()
		return *do(w, w.StartAnalysisReport, `{"FirewallArn":%q,"AnalysisType":%q}`, firewall, kind).AnalysisReportId
	}
	status := func(id string) string {
		t.Helper()
		return *do(w, w.GetAnalysisReportResults, `{"FirewallName":"f","AnalysisReportId":%q}`, id).Status
	}
	fail(w, w.StartAnalysisReport, errMissing, "", `{"FirewallName":"gone","AnalysisType":"TLS_SNI"}`)
	fail(w, w.StartAnalysisReport, errInvalid, "AnalysisType is not enabled for the firewall", `{"FirewallName":"f","AnalysisType":"TLS_SNI"}`)
	do(w, w.UpdateFirewallAnalysisSettings, `{"FirewallName":"f","EnabledAnalysisTypes":["HTTP_HOST","TLS_SNI"]}`)
	on := w.now
	w.now = w.now.Add(time.Hour)
	id := start("TLS_SNI")
	fail(w, w.StartAnalysisReport, "ThrottlingException", "An analysis report of type TLS_SNI is already running", `{"FirewallName":"f","AnalysisType":"TLS_SNI"}`)
	// This is what nodes read.
	r, found, err := read[resource.AnalysisReport](t.Context(), w.Control, w.scope.AnalysisReports("f")+id)
	if err != nil || !found || !r.value.From.Equal(on) || !r.value.To.Equal(w.now) || fmt.Sprint(r.value.Nodes) != "[n1 n2 m]" {
		t.Errorf("%+v, %v", r.value, err)
	}

	at := func(minute int) time.Time { return on.Add(time.Duration(minute) * time.Minute) }
	w.answer(id, "n1", resource.AnalysisResult{},
		resource.AnalysisRow{Domain: "b.example", Hits: 5, Sources: 2, First: at(10), Last: at(20)},
		resource.AnalysisRow{Domain: "a.example", Hits: 1, Sources: 1, First: at(10), Last: at(20)})
	w.answer(id, "n2", resource.AnalysisResult{}, resource.AnalysisRow{Domain: "a.example", Hits: 6, Sources: 1, First: at(5), Last: at(15)})
	w.answer(id, "stranger", resource.AnalysisResult{}, resource.AnalysisRow{Domain: "c.example", Hits: 9})
	if s := status(id); s != "RUNNING" {
		t.Errorf("with two of three answers: %s", s)
	}
	w.answer(id, "m", resource.AnalysisResult{}, resource.AnalysisRow{Domain: "big.example", Hits: 1 << 40, Sources: 1 << 40, First: at(1), Last: at(2)}, resource.AnalysisRow{Domain: "0.example", Hits: 5})
	const get = `{"FirewallName":"f","AnalysisReportId":%q,"MaxResults":3%s}`
	first := do(w, w.GetAnalysisReportResults, get, id, "")
	second := do(w, w.GetAnalysisReportResults, get, id, fmt.Sprintf(`,"NextToken":%q`, *first.NextToken))
	var got []string
	for _, row := range append(first.AnalysisReportResults, second.AnalysisReportResults...) {
		got = append(got, fmt.Sprint(*row.Protocol, " ", *row.Domain, " ", *row.Hits.Count, " ", *row.UniqueSources.Count))
	}
	if want := "[TLS big.example 2147483647 2147483647 TLS a.example 7 2 TLS 0.example 5 0 TLS b.example 5 2]"; fmt.Sprint(got) != want || second.NextToken != nil {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	if a := first.AnalysisReportResults[1]; !a.FirstAccessed.Equal(at(5)) || !a.LastAccessed.Equal(at(20)) || *first.Status != "COMPLETED" || !first.StartTime.Equal(on) || !first.EndTime.Equal(w.now) {
		t.Errorf("%+v %+v", first, a)
	}
	fail(w, w.GetAnalysisReportResults, errMissing, "", get, "gone", "")
	fail(w, w.GetAnalysisReportResults, errInvalid, "NextToken is invalid", get, id, `,"NextToken":"x"`)

	// All nodes must be able to answer, in time.
	failed := start("TLS_SNI")
	for _, node := range []string{"n1", "n2", "m"} {
		w.answer(failed, node, resource.AnalysisResult{})
	}
	w.answer(failed, "m", resource.AnalysisResult{Error: "disk full"})
	late := start("HTTP_HOST")
	w.answer(late, "n1", resource.AnalysisResult{})
	w.answer(late, "n2", resource.AnalysisResult{})
	if s := status(late); s != "RUNNING" {
		t.Errorf("before the deadline: %s", s)
	}
	w.now = w.now.Add(time.Minute)
	w.answer(late, "m", resource.AnalysisResult{Done: w.now.Add(time.Nanosecond)})
	for _, id := range []string{failed, late} {
		if s := status(id); s != "FAILED" {
			t.Errorf("%s: %s", id, s)
		}
	}
	newest := start("HTTP_HOST")

	all := do(w, w.ListAnalysisReports, `{"FirewallName":"f","MaxResults":2}`)
	rest := do(w, w.ListAnalysisReports, `{"FirewallName":"f","MaxResults":2,"NextToken":%q}`, *all.NextToken)
	if l := all.AnalysisReports; len(l) != 2 || len(rest.AnalysisReports) != 2 || rest.NextToken != nil || *l[0].AnalysisReportId != newest || *l[0].Status != "RUNNING" || *l[0].AnalysisType != "HTTP_HOST" {
		t.Errorf("%+v %+v", all, rest)
	}
	fail(w, w.ListAnalysisReports, errMissing, "", `{"FirewallName":"gone"}`)

	w.now = w.now.Add(30*24*time.Hour - time.Minute)
	if l := do(w, w.ListAnalysisReports, `{"FirewallName":"f"}`).AnalysisReports; len(l) != 1 || *l[0].AnalysisReportId != newest {
		t.Errorf("after 30 days: %+v", l)
	}
	// The report covers 30 days, and no node can answer it any more.
	do(w, w.DisassociateSubnets, `{"FirewallName":"f","SubnetIds":["subnet-a"]}`)
	if err := db.Delete(t.Context(), w.scope.Node("us-east-1b", "m")); err != nil {
		t.Fatal(err)
	}
	none := do(w, w.GetAnalysisReportResults, `{"FirewallName":"f","AnalysisReportId":%q}`, start("TLS_SNI"))
	if *none.Status != "FAILED" || none.EndTime.Sub(none.StartTime.Time) != 30*24*time.Hour {
		t.Errorf("without nodes: %+v", none)
	}
	do(w, w.DeleteFirewall, `{"FirewallName":"f"}`)
	w.newFirewall("f", w.strictPolicy("again"), "subnet-a")
	if l := do(w, w.ListAnalysisReports, `{"FirewallName":"f"}`).AnalysisReports; len(l) != 0 {
		t.Errorf("a new firewall has reports of an old one: %+v", l)
	}
}

func TestOneAnalysisReportRuns(t *testing.T) {
	w, firewall := flowWorld(t)
	do(w, w.UpdateFirewallAnalysisSettings, `{"FirewallName":"f","EnabledAnalysisTypes":["TLS_SNI"]}`)
	got := race(4, func(int) error {
		_, err := w.StartAnalysisReport(t.Context(), wire.Caller{}, request[wire.StartAnalysisReportRequest](t, `{"FirewallArn":%q,"AnalysisType":"TLS_SNI"}`, firewall))
		return err
	})
	if got[""] != 1 || got["ThrottlingException"] != 3 {
		t.Errorf("outcomes %v", got)
	}
}
