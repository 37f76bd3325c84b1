package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// domainSources are the engine's names of types of traffic analysis.
var domainSources = map[string]engine.DomainSource{
	wire.EnabledAnalysisTypeTlsSni: engine.DomainSNI, wire.EnabledAnalysisTypeHttpHost: engine.DomainHost,
}

// rememberDomains has the firewall's engine remember what its analysis settings ask for.
func (n *Node) rememberDomains(ctx context.Context, fw *firewall, settings []resource.AnalysisSetting) {
	var sources []engine.DomainSource
	for _, s := range settings {
		if source, ok := domainSources[s.Type]; ok {
			sources = append(sources, source)
		}
	}
	slices.Sort(sources)
	if slices.Equal(sources, fw.domains) {
		return
	}
	if err := fw.engine.RememberDomains(ctx, sources...); err != nil {
		if ctx.Err() == nil {
			n.opt.Logger.Error("traffic analysis is not as it is set", slog.String("firewall", fw.label), slog.Any("error", err))
		}
		return
	}
	fw.domains = sources
}

// watchReports answers the analysis reports that name this node.
func (n *Node) watchReports(ctx context.Context) {
	all := n.opt.Scope.AllAnalysisReports()
	for up := range n.opt.Store.Watch(ctx, all, 0) {
		for _, ev := range up.Events {
			if ev.Deleted {
				continue
			}
			r, err := store.Decode[resource.AnalysisReport](ev.KV)
			if err != nil {
				n.opt.Logger.Error("an analysis report cannot be read", slog.Any("error", err))
				continue
			}
			if slices.Contains(r.Nodes, n.opt.ID) && time.Now().Before(r.Deadline) {
				n.opsWG.Go(func() { n.answerReport(ctx, resource.AccountOf(all, ev.Key), r, ev.Lease) })
			}
		}
	}
}

// answerReport writes what the node saw under the report's lease, unless it has
// answered before: an answer stands.
func (n *Node) answerReport(ctx context.Context, account string, r resource.AnalysisReport, lease store.Lease) {
	ctx, cancel := context.WithDeadline(ctx, r.Deadline)
	defer cancel()
	log := n.opt.Logger.With(slog.String("report", r.ID), slog.String("account", account), slog.String("firewall", r.Firewall))
	result := resource.AnalysisResult{Node: n.opt.ID}
	var err error
	if result.Rows, err = n.analyse(ctx, account, r); err != nil {
		result.Error = err.Error()
		log.Error("the node has nothing to say to an analysis report", slog.Any("error", err))
	}
	for {
		result.Done = time.Now()
		var t store.Txn
		t.IfRev(n.opt.Scope.AnalysisResult(r.ID, n.opt.ID), 0)
		t.Put(n.opt.Scope.AnalysisResult(r.ID, n.opt.ID), result, lease)
		_, err := n.opt.Store.Commit(ctx, &t)
		if err == nil || errors.Is(err, store.ErrConflict) {
			return
		}
		log.Warn("the store did not take the node's part of an analysis report; trying again", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// analyse returns the rows of a result.
func (n *Node) analyse(ctx context.Context, account string, r resource.AnalysisReport) ([]byte, error) {
	source, ok := domainSources[r.Type]
	if !ok {
		return nil, fmt.Errorf("this node knows no traffic analysis of type %q", r.Type)
	}
	fw, err := n.served(account, r.Firewall)
	if err != nil {
		return nil, err
	}
	domains, err := fw.engine.Domains(ctx, source, r.From, resource.MaxAnalysisRows)
	if err != nil {
		return nil, err
	}
	rows := make([]resource.AnalysisRow, len(domains))
	for i, d := range domains {
		rows[i] = resource.AnalysisRow{Domain: d.Name, Hits: d.Hits, Sources: d.Sources, First: d.First, Last: d.Last}
	}
	return resource.EncodeAnalysis(rows)
}
