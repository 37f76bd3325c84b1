package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/eve"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 999, time.UTC)

// memory is a sink that keeps lines.
type memory struct {
	mu    sync.Mutex
	lines []string
	full  bool
}

func (m *memory) Log(line []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.full {
		m.lines = append(m.lines, string(line))
	}
	return !m.full
}

func (m *memory) Flush(context.Context) error { return nil }
func (m *memory) Close(context.Context) error { return nil }

func (m *memory) records(t *testing.T) (out []map[string]any) {
	t.Helper()
	for _, line := range m.lines {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, r)
	}
	return out
}

var _ eve.Sink = (*memory)(nil)

func call() *Call {
	return &Call{
		Time: start, Source: "network-firewall.amazonaws.com", Operation: "DeleteFirewall", Region: "us-east-1",
		SourceIP: "10.0.1.23", UserAgent: "aws-cli/2", RequestID: "r-1", RecipientID: "111122223333",
		Identity: Identity{Type: "IAMUser", PrincipalID: "AIDAEXAMPLE", ARN: "arn:aws:iam::111122223333:user/anna",
			AccountID: "111122223333", AccessKeyID: "AKIDEXAMPLE", UserName: "anna"},
		Request:  &wire.DeleteFirewallRequest{FirewallName: wire.Ptr("edge")},
		Response: &wire.DeleteFirewallResponse{Firewall: &wire.Firewall{FirewallName: wire.Ptr("edge"), SubnetMappings: []wire.SubnetMapping{}, DeleteProtection: wire.Ptr(false)}},
	}
}

func TestRecord(t *testing.T) {
	var m memory
	l := New(&m, nil)
	l.Write(call())
	failed := call()
	failed.ErrorCode, failed.Error = "ResourceNotFoundException", "gone"
	l.Write(failed)
	read := call()
	read.ReadOnly, read.Operation, read.Request = true, "DescribeFirewall", &wire.DescribeFirewallRequest{}
	l.Write(read)

	got := m.records(t)
	for _, r := range got {
		if id, _ := r["eventID"].(string); uuid.Validate(id) != nil {
			t.Errorf("eventID %v", r["eventID"])
		}
		delete(r, "eventID")
	}
	record := func(change map[string]any) map[string]any {
		r := map[string]any{
			"eventVersion": "1.08", "eventTime": "2026-11-01T12:00:00Z", "eventSource": "network-firewall.amazonaws.com",
			"eventName": "DeleteFirewall", "awsRegion": "us-east-1", "sourceIPAddress": "10.0.1.23", "userAgent": "aws-cli/2",
			"userIdentity": map[string]any{"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/anna",
				"accountId": "111122223333", "accessKeyId": "AKIDEXAMPLE", "userName": "anna"},
			"requestParameters": map[string]any{"firewallName": "edge"},
			"responseElements":  map[string]any{"firewall": map[string]any{"firewallName": "edge", "subnetMappings": []any{}, "deleteProtection": false}},
			"requestID":         "r-1", "readOnly": false, "eventType": "AwsApiCall", "managementEvent": true,
			"eventCategory": "Management", "recipientAccountId": "111122223333",
		}
		for k, v := range change {
			r[k] = v
		}
		return r
	}
	want := []map[string]any{
		record(nil),
		record(map[string]any{"errorCode": "ResourceNotFoundException", "errorMessage": "gone", "responseElements": nil}),
		record(map[string]any{"eventName": "DescribeFirewall", "readOnly": true, "requestParameters": map[string]any{}, "responseElements": nil}),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSummaryIsBounded(t *testing.T) {
	rules := strings.Repeat("pass ip any any -> any any (sid:1;)\n", 50_000)
	got := summarize(&wire.CreateRuleGroupRequest{
		RuleGroupName: wire.Ptr("g"), Rules: &rules,
		RuleGroup: &wire.RuleGroup{RuleVariables: &wire.RuleVariables{IPSets: map[string]wire.IPSet{"HOME_NET": {Definition: make([]string, 150)}}}},
	}).(map[string]any)
	if got["ruleGroupName"] != "g" || got["rules"] != rules[:1024]+"... (cut: 1800000 bytes)" {
		t.Errorf("rules %.2000v", got["rules"])
	}
	sets := got["ruleGroup"].(map[string]any)["ruleVariables"].(map[string]any)["iPSets"].(map[string]any)
	if list := sets["HOME_NET"].(map[string]any)["definition"].([]any); len(list) != 101 || list[100] != "... (cut: 150 elements)" {
		t.Errorf("%d elements, the last is %v", len(list), list[len(list)-1])
	}

	huge, long := make(map[string]wire.IPSet), strings.Repeat("ü", 2000)
	for i := range 1000 {
		list := make([]string, 1000)
		for j := range list {
			list[j] = long
		}
		huge[fmt.Sprint("S", i)] = wire.IPSet{Definition: list}
	}
	text, err := json.Marshal(summarize(&wire.RuleVariables{IPSets: huge}))
	if err != nil || len(text) > 256<<10 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if bytes.Contains(text, []byte("\ufffd")) {
		t.Error("a character was cut in two")
	}
}

// TestRefusedCallsAreBounded: refused calls cannot fill the disk, and those of
// nobody in particular cannot hide those of users.
func TestRefusedCallsAreBounded(t *testing.T) {
	var m memory
	l := New(&m, nil)
	write := func(n int, at time.Duration, change func(*Call)) (logged int) {
		before := len(m.lines)
		for range n {
			c := call()
			c.Time = start.Add(at)
			change(c)
			l.Write(c)
		}
		return len(m.lines) - before
	}
	unknown := func(c *Call) {
		c.Refused, c.Identity = true, Identity{Type: "Unknown", AccessKeyID: strings.Repeat("k", 5000)}
	}
	denied := func(c *Call) { c.Refused = true }
	allowed := func(*Call) {}
	for _, s := range []struct {
		name   string
		n      int
		at     time.Duration
		change func(*Call)
		want   int
	}{
		{"a burst of strangers", 500, 0, unknown, refusedBurst},
		{"a user", 50, 0, denied, 50},
		{"allowed calls", 500, 0, allowed, 500},
		{"strangers a second later", 500, time.Second, unknown, refusedRate},
		{"strangers an hour later", 500, time.Hour, unknown, refusedBurst},
		{"a clock set back", 10, 0, unknown, 0},
	} {
		if got := write(s.n, s.at, s.change); got != s.want {
			t.Errorf("%s: %d of %d logged, want %d", s.name, got, s.n, s.want)
		}
	}
	records := m.records(t)
	if key := records[0]["userIdentity"].(map[string]any)["accessKeyId"].(string); len(key) > 1100 {
		t.Errorf("access key of %d bytes", len(key))
	}
	extra, _ := records[refusedBurst]["additionalEventData"].(map[string]any)
	if extra["refusedCallsNotLogged"] != 400.0 {
		t.Errorf("the record after a burst says %v, want 400 not logged", extra)
	}
}

func TestLossIsReported(t *testing.T) {
	var text bytes.Buffer
	l := New(&memory{full: true}, slog.New(slog.NewTextHandler(&text, nil)))
	for range 3 {
		l.Write(call())
	}
	if n := strings.Count(text.String(), "audit records are lost"); n != 1 {
		t.Errorf("reported %d times: %s", n, &text)
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit", "audit.json")
	l, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				l.Write(call())
			}
		})
	}
	wg.Wait()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 100 {
		t.Errorf("%d lines, want 100", len(lines))
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("no JSON: %s", line)
		}
	}
}

// TestReopen: what another program has moved away is left alone.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.json")
	l, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Write(call())
	if err := l.sink.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	l.Write(call())
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".1"} {
		text, err := os.ReadFile(p)
		if err != nil || bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s: %q, %v; want one record", filepath.Base(p), text, err)
		}
	}
}
