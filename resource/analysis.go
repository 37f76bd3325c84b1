package resource

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// AnalysisPeriod is how long domains, reports and their results are kept.
// AWS: 30 days.
const AnalysisPeriod = 30 * 24 * time.Hour

// MaxAnalysisRows is the most domains that a node's result holds. Of more, it
// keeps those with the most hits. So many take a few hundred kilobytes, within
// what an etcd takes without any setting.
const MaxAnalysisRows = 10000

// AnalysisReport is a report on the domains of a firewall's traffic as it was
// asked for. It is kept under a lease of AnalysisPeriod. Its status is not
// stored: it follows from Nodes, their results and Deadline.
type AnalysisReport struct {
	ID       string    `json:"id"`
	Firewall string    `json:"firewall"` // name
	ARN      string    `json:"arn"`      // of the firewall
	Type     string    `json:"type"`     // a wire.EnabledAnalysisType constant
	Started  time.Time `json:"started"`
	Deadline time.Time `json:"deadline"` // a node that has not answered by then did not answer
	From     time.Time `json:"from"`     // what was seen from then on counts,
	To       time.Time `json:"to"`       // up to then
	Nodes    []string  `json:"nodes"`    // the nodes of the firewall's zones, all of which must answer
}

// AnalysisResult is a node's answer to a report, written under the lease of
// the report's record.
type AnalysisResult struct {
	Node  string    `json:"node"`
	Done  time.Time `json:"done"`
	Rows  []byte    `json:"rows"`            // of EncodeAnalysis
	Error string    `json:"error,omitempty"` // why the node could not answer
}

// AnalysisRow is what a node saw of one domain.
type AnalysisRow struct {
	Domain  string    `json:"d"` // lower case, without a dot at the end
	Hits    uint64    `json:"h"` // connections (TLS) or requests (HTTP)
	Sources uint64    `json:"s"` // different source addresses
	First   time.Time `json:"f"`
	Last    time.Time `json:"l"`
}

// maxRowSize is more than the JSON of a row takes in bytes: a domain has at
// most 255, times 6 if all of them are escaped.
const maxRowSize = 2048

// EncodeAnalysis writes rows as the Rows of a result: JSON, with gzip. Callers
// keep them to MaxAnalysisRows; DecodeAnalysis refuses more.
func EncodeAnalysis(rows []AnalysisRow) ([]byte, error) {
	var b bytes.Buffer
	if rows == nil {
		rows = []AnalysisRow{}
	}
	w := gzip.NewWriter(&b)
	if err := json.NewEncoder(w).Encode(rows); err != nil {
		return nil, fmt.Errorf("analysis results: %w", err)
	}
	w.Close() // a bytes.Buffer takes everything
	return b.Bytes(), nil
}

// DecodeAnalysis reads the Rows of a result. It takes no more memory than
// MaxAnalysisRows rows need, whatever the bytes say.
func DecodeAnalysis(rows []byte) ([]AnalysisRow, error) {
	r, err := gzip.NewReader(bytes.NewReader(rows))
	if err != nil {
		return nil, fmt.Errorf("analysis results: %w", err)
	}
	d := json.NewDecoder(io.LimitReader(r, MaxAnalysisRows*maxRowSize))
	var all []AnalysisRow
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("analysis results: not a JSON list (%v)", err)
	}
	for d.More() {
		if len(all) == MaxAnalysisRows {
			return nil, fmt.Errorf("analysis results: more than %d rows", MaxAnalysisRows)
		}
		var row AnalysisRow
		if err := d.Decode(&row); err != nil {
			return nil, fmt.Errorf("analysis results: row %d: %w", len(all), err)
		}
		all = append(all, row)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("analysis results: %w", err)
	}
	return all, nil
}
