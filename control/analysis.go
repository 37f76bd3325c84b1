package control

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// Status of an analysis report. AWS: these three; the model has no names for them.
const (
	analysisRunning   = "RUNNING"
	analysisCompleted = "COMPLETED"
	analysisFailed    = "FAILED"
)

// analysisSettings returns the settings for the types, each once. A type that
// was on before stays on from then.
func (c *Control) analysisSettings(before []resource.AnalysisSetting, types []string) []resource.AnalysisSetting {
	var settings []resource.AnalysisSetting
	for _, t := range types {
		is := func(s resource.AnalysisSetting) bool { return s.Type == t }
		if slices.ContainsFunc(settings, is) {
			continue
		}
		s := resource.AnalysisSetting{Type: t, Since: c.o.Clock()}
		if i := slices.IndexFunc(before, is); i >= 0 {
			s = before[i]
		}
		settings = append(settings, s)
	}
	return settings
}

func analysisTypes(f *resource.Firewall) []string {
	var types []string
	for _, s := range f.Analysis {
		types = append(types, s.Type)
	}
	return types
}

// UpdateFirewallAnalysisSettings says which types of traffic analysis are on:
// exactly those given.
func (c *Control) UpdateFirewallAnalysisSettings(ctx context.Context, caller wire.Caller, in *wire.UpdateFirewallAnalysisSettingsRequest) (*wire.UpdateFirewallAnalysisSettingsResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "UpdateFirewallAnalysisSettings", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		f.Analysis = c.analysisSettings(f.Analysis, in.EnabledAnalysisTypes)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateFirewallAnalysisSettingsResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, EnabledAnalysisTypes: analysisTypes(f), UpdateToken: &f.UpdateToken}, nil
}

// StartAnalysisReport asks the nodes of all of a firewall's zones which domains
// they saw, as far back as the analysis is on, at most 30 days. One report of a
// type runs at a time.
func (c *Control) StartAnalysisReport(ctx context.Context, caller wire.Caller, in *wire.StartAnalysisReportRequest) (*wire.StartAnalysisReportResponse, error) {
	var report resource.AnalysisReport
	err := c.changeLeased(ctx, resource.AnalysisPeriod, func(t *store.Txn, grant func() (store.Lease, error)) error {
		f, err := c.firewall(ctx, in.FirewallArn, in.FirewallName)
		if err != nil {
			return err
		}
		kind := wire.Val(in.AnalysisType)
		i := slices.IndexFunc(f.value.Analysis, func(s resource.AnalysisSetting) bool { return s.Type == kind })
		if i < 0 {
			return invalid("AnalysisType is not enabled for the firewall: enable it with UpdateFirewallAnalysisSettings, parameter: [%s], context: AnalysisType", kind)
		}
		reports, rev, err := c.analysisReports(ctx, f.value.Name)
		if err != nil {
			return err
		}
		for _, r := range reports {
			if r.Type != kind {
				continue
			}
			if status, _, err := c.analysisState(ctx, &r); err != nil {
				return err
			} else if status == analysisRunning {
				return wire.ThrottlingException("An analysis report of type %s is already running for this firewall", kind)
			}
		}
		var nodes []string
		for _, zone := range f.value.Zones() {
			of, err := c.nodesOf(ctx, zone)
			if err != nil {
				return err
			}
			nodes = append(nodes, of...)
		}
		lease, err := grant()
		if err != nil {
			return err
		}
		now := c.o.Clock()
		from := now.Add(-resource.AnalysisPeriod)
		if since := f.value.Analysis[i].Since; since.After(from) {
			from = since
		}
		report = resource.AnalysisReport{
			ID: c.o.NewID(), Firewall: f.value.Name, ARN: f.value.ARN, Type: kind,
			Started: now, Deadline: now.Add(c.o.FlowDeadline), From: from, To: now, Nodes: nodes,
		}
		t.IfRev(f.key, f.rev)
		t.IfNoneSince(c.scope.AnalysisReports(f.value.Name), rev)
		t.Put(c.scope.AnalysisReport(report.Firewall, report.ID), &report, lease)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "StartAnalysisReport", report.ARN)
	return &wire.StartAnalysisReportResponse{AnalysisReportId: &report.ID}, nil
}

func reportPlace(r *resource.AnalysisReport) string { return newestFirst(r.Started, r.ID) }

// analysisReports returns the reports of a firewall that have not expired, the
// newest first, and the revision that they were read at.
func (c *Control) analysisReports(ctx context.Context, firewall string) ([]resource.AnalysisReport, int64, error) {
	records, rev, err := list[resource.AnalysisReport](ctx, c, c.scope.AnalysisReports(firewall))
	oldest := c.o.Clock().Add(-resource.AnalysisPeriod)
	var reports []resource.AnalysisReport
	for _, r := range records {
		if r.Value.Started.After(oldest) {
			reports = append(reports, r.Value)
		}
	}
	slices.SortFunc(reports, func(a, b resource.AnalysisReport) int { return strings.Compare(reportPlace(&a), reportPlace(&b)) })
	return reports, rev, err
}

// analysisState says where a report stands, and returns the nodes' results if
// it is completed: it runs until all nodes have answered or its deadline has
// passed, and fails unless all of them could. An answer that was made after the
// deadline does not count, so that a final status stays final.
func (c *Control) analysisState(ctx context.Context, r *resource.AnalysisReport) (status string, results []resource.AnalysisResult, err error) {
	if len(r.Nodes) == 0 {
		return analysisFailed, nil, nil
	}
	records, _, err := list[resource.AnalysisResult](ctx, c, c.scope.AnalysisResults(r.ID))
	if err != nil {
		return "", nil, err
	}
	failed := false
	for _, record := range records {
		if a := record.Value; slices.Contains(r.Nodes, a.Node) && !a.Done.After(r.Deadline) {
			failed = failed || a.Error != ""
			results = append(results, a)
		}
	}
	switch complete := len(results) == len(r.Nodes); {
	case !complete && c.o.Clock().Before(r.Deadline):
		return analysisRunning, nil, nil
	case !complete || failed:
		return analysisFailed, nil, nil
	}
	return analysisCompleted, results, nil
}

// ListAnalysisReports returns the reports of the last 30 days, the newest first.
func (c *Control) ListAnalysisReports(ctx context.Context, _ wire.Caller, in *wire.ListAnalysisReportsRequest) (*wire.ListAnalysisReportsResponse, error) {
	p, err := newPager("ListAnalysisReports", in.NextToken, in.MaxResults, wire.Val(in.FirewallArn), wire.Val(in.FirewallName))
	if err != nil {
		return nil, err
	}
	f, err := c.firewall(ctx, in.FirewallArn, in.FirewallName)
	if err != nil {
		return nil, err
	}
	reports, _, err := c.analysisReports(ctx, f.value.Name)
	if err != nil {
		return nil, err
	}
	page, next := pageOf(p, reports, reportPlace)
	out := &wire.ListAnalysisReportsResponse{AnalysisReports: []wire.AnalysisReport{}, NextToken: next}
	for i := range page {
		r := &page[i]
		status, _, err := c.analysisState(ctx, r)
		if err != nil {
			return nil, err
		}
		out.AnalysisReports = append(out.AnalysisReports, wire.AnalysisReport{
			AnalysisReportId: &r.ID, AnalysisType: &r.Type, ReportTime: &wire.Time{Time: r.Started}, Status: &status,
		})
	}
	return out, nil
}

// GetAnalysisReportResults returns the domains of a completed report, those
// with the most hits first, and none of others.
func (c *Control) GetAnalysisReportResults(ctx context.Context, _ wire.Caller, in *wire.GetAnalysisReportResultsRequest) (*wire.GetAnalysisReportResultsResponse, error) {
	p, err := newPager("GetAnalysisReportResults", in.NextToken, in.MaxResults, wire.Val(in.FirewallArn), wire.Val(in.FirewallName), *in.AnalysisReportId)
	if err != nil {
		return nil, err
	}
	f, err := c.firewall(ctx, in.FirewallArn, in.FirewallName)
	if err != nil {
		return nil, err
	}
	reports, _, err := c.analysisReports(ctx, f.value.Name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(reports, func(r resource.AnalysisReport) bool { return r.ID == *in.AnalysisReportId })
	if i < 0 {
		return nil, notFound("analysis report " + *in.AnalysisReportId)
	}
	r := &reports[i]
	status, results, err := c.analysisState(ctx, r)
	if err != nil {
		return nil, err
	}
	rows, err := mergeAnalysis(results)
	if err != nil {
		return nil, err
	}
	start, _ := strconv.Atoi(p.after)
	start = min(max(start, 0), len(rows))
	end := min(start+p.size, len(rows))
	out := &wire.GetAnalysisReportResultsResponse{
		Status: &status, AnalysisType: &r.Type, ReportTime: &wire.Time{Time: r.Started},
		StartTime: &wire.Time{Time: r.From}, EndTime: &wire.Time{Time: r.To}, AnalysisReportResults: []wire.AnalysisTypeReportResult{},
	}
	for _, row := range rows[start:end] {
		out.AnalysisReportResults = append(out.AnalysisReportResults, wireAnalysis(row, r.Type))
	}
	if end < len(rows) {
		out.NextToken = p.next(strconv.Itoa(end))
	}
	return out, nil
}

// mergeAnalysis adds up what the nodes saw. A source that several nodes saw
// counts several times: they do not say which sources they saw.
func mergeAnalysis(results []resource.AnalysisResult) ([]resource.AnalysisRow, error) {
	at := map[string]int{} // domain to its index in all
	var all []resource.AnalysisRow
	for _, result := range results {
		rows, err := resource.DecodeAnalysis(result.Rows)
		if err != nil {
			return nil, wire.InternalServerError("the results of node %s cannot be read: %s", result.Node, err)
		}
		for _, row := range rows {
			i, seen := at[row.Domain]
			if !seen {
				at[row.Domain] = len(all)
				all = append(all, row)
				continue
			}
			sum := &all[i]
			sum.Hits += row.Hits
			sum.Sources += row.Sources
			if row.First.Before(sum.First) {
				sum.First = row.First
			}
			if row.Last.After(sum.Last) {
				sum.Last = row.Last
			}
		}
	}
	slices.SortFunc(all, func(a, b resource.AnalysisRow) int {
		if a.Hits != b.Hits {
			if a.Hits > b.Hits {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Domain, b.Domain)
	})
	return all, nil
}

// wireAnalysis writes a row as the API does. Counts that do not fit are cut.
func wireAnalysis(row resource.AnalysisRow, kind string) wire.AnalysisTypeReportResult {
	protocol := "HTTP"
	if kind == wire.EnabledAnalysisTypeTlsSni {
		protocol = "TLS"
	}
	return wire.AnalysisTypeReportResult{
		Protocol: &protocol, Domain: &row.Domain,
		Hits:          &wire.Hits{Count: count(int(min(row.Hits, math.MaxInt32)))},
		UniqueSources: &wire.UniqueSources{Count: count(int(min(row.Sources, math.MaxInt32)))},
		FirstAccessed: &wire.Time{Time: row.First}, LastAccessed: &wire.Time{Time: row.Last},
	}
}
