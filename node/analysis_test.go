package node

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

// report asks for an analysis report as the control side does.
func (r *rig) report(kind, firewall string, from time.Time) resource.AnalysisReport {
	r.Helper()
	now := time.Now()
	report := resource.AnalysisReport{
		ID: uuid.NewString(), Firewall: firewall, Type: kind, Started: now, Deadline: now.Add(within), From: from, To: now, Nodes: []string{nodeID},
	}
	lease, err := r.store.Grant(r.ctx, time.Minute)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.store.Put(r.ctx, r.in.AnalysisReport(firewall, report.ID), report, lease); err != nil {
		r.Fatal(err)
	}
	return report
}

func (r *rig) awaitResult(report resource.AnalysisReport) resource.AnalysisResult {
	r.Helper()
	return await(r, scope.AnalysisResult(report.ID, nodeID), func(resource.AnalysisResult) bool { return true })
}

// analyse switches analysis on, or off, and waits until the node has done so.
func (r *rig) analyse(token string, kinds ...string) {
	r.Helper()
	f := resource.Firewall{
		Meta: resource.Meta{ARN: r.arn(firewallARN), Name: "f"}, PolicyARN: r.arn(policyARN), Subnets: []resource.Subnet{{ID: "subnet-1", Zone: zone}},
	}
	for _, kind := range kinds {
		f.Analysis = append(f.Analysis, resource.AnalysisSetting{Type: kind, Since: time.Now()})
	}
	r.put(r.in.Firewall("f"), f)
	r.putPolicy(token, nil) // comes after the firewall's record
	r.awaitTokens(token, "g1")
}

func (r *rig) get(host string) {
	r.Helper()
	d, err := r.dial(echo)
	if err != nil {
		r.Fatal(err)
	}
	defer d.Close()
	d.SetDeadline(time.Now().Add(within))
	request := "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	if _, err := io.WriteString(d, request); err != nil {
		r.Fatal(err)
	}
	if _, err := io.ReadFull(d.in, make([]byte, len(request))); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) rows(result resource.AnalysisResult) []resource.AnalysisRow {
	r.Helper()
	if result.Error != "" || result.Node != nodeID {
		r.Fatalf("the result is %+v", result)
	}
	rows, err := resource.DecodeAnalysis(result.Rows)
	if err != nil {
		r.Fatal(err)
	}
	return rows
}

// TestAnalysisReport: the node reports the domains that it saw while the
// analysis was on, under the report's lease, and an answer stands.
func TestAnalysisReport(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	r.get("early.example")
	r.analyse("p2", wire.EnabledAnalysisTypeHttpHost, wire.EnabledAnalysisTypeTlsSni)
	begin := time.Now()
	r.get("one.example")
	r.get("two.example")
	r.get("Two.example")
	report := r.report(wire.EnabledAnalysisTypeHttpHost, "f", begin)
	result := r.awaitResult(report)
	rows := r.rows(result)
	if len(rows) != 2 || rows[0].Domain != "two.example" || rows[0].Hits != 2 || rows[0].Sources != 1 || rows[1].Domain != "one.example" || rows[1].Hits != 1 {
		t.Errorf("rows %+v", rows)
	}
	for _, row := range rows {
		if row.First.Before(begin) || row.Last.Before(row.First) || row.Last.After(result.Done) {
			t.Errorf("%+v is not between %v and %v", row, begin, result.Done)
		}
	}
	page, err := r.store.List(r.ctx, scope.AnalysisResults(report.ID), "", 0)
	if err != nil || len(page.KVs) != 1 || page.KVs[0].Lease == 0 {
		t.Fatalf("records %+v, %v", page, err)
	}

	r.get("three.example")
	r.put(scope.AnalysisReport("f", report.ID), report) // as when the store was away: the node sees it again
	if rows := r.rows(r.awaitResult(r.report(wire.EnabledAnalysisTypeHttpHost, "f", begin))); len(rows) != 3 {
		t.Errorf("later %+v", rows)
	}
	if again := r.awaitResult(report); !slices.Equal(again.Rows, result.Rows) {
		t.Error("an answer was replaced")
	}
	if rows := r.rows(r.awaitResult(r.report(wire.EnabledAnalysisTypeTlsSni, "f", begin))); len(rows) != 0 {
		t.Errorf("of TLS %+v", rows)
	}
	if rows := r.rows(r.awaitResult(r.report(wire.EnabledAnalysisTypeHttpHost, "f", time.Now().Add(time.Hour)))); len(rows) != 0 {
		t.Errorf("of the future %+v", rows)
	}

	r.analyse("p3")
	if rows := r.rows(r.awaitResult(r.report(wire.EnabledAnalysisTypeHttpHost, "f", begin))); len(rows) != 0 {
		t.Errorf("switched off %+v", rows)
	}
	for what, report := range map[string]resource.AnalysisReport{
		"a firewall that is not here": r.report(wire.EnabledAnalysisTypeHttpHost, "g", begin), "an unknown type": r.report("FTP", "f", begin),
	} {
		if result := r.awaitResult(report); result.Error == "" {
			t.Errorf("no error of %s", what)
		}
	}

	// Reports that name other nodes, or are over, get no answer.
	foreign := report
	foreign.ID, foreign.Nodes = uuid.NewString(), []string{"n2"}
	over := report
	over.ID, over.Deadline = uuid.NewString(), time.Now()
	for _, report := range []resource.AnalysisReport{foreign, over} {
		r.put(scope.AnalysisReport("f", report.ID), report)
	}
	r.awaitResult(r.report(wire.EnabledAnalysisTypeHttpHost, "f", begin)) // comes after them
	for _, report := range []resource.AnalysisReport{foreign, over} {
		if _, err := r.store.Get(r.ctx, scope.AnalysisResult(report.ID, nodeID)); err == nil {
			t.Errorf("%+v was answered", report)
		}
	}
}
