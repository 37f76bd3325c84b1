package node

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/delivery"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/resource"
)

// envelope is what AWS's log readers parse.
type envelope struct {
	Firewall  string `json:"firewall_name"`
	Zone      string `json:"availability_zone"`
	Timestamp string `json:"event_timestamp"`
	Event     struct {
		Type    string `json:"event_type"`
		SrcIP   string `json:"src_ip"`
		DestIP  string `json:"dest_ip"`
		Proto   string `json:"proto"`
		SrcPort uint16 `json:"src_port"`
		Alert   *struct {
			SID       uint32 `json:"signature_id"`
			Signature string `json:"signature"`
			Action    string `json:"action"`
		} `json:"alert"`
		Netflow map[string]any `json:"netflow"`
	} `json:"event"`
}

func logTo(logType, group string) wire.LogDestinationConfig {
	return wire.LogDestinationConfig{
		LogType: &logType, LogDestinationType: wire.Ptr(wire.LogDestinationTypeCloudWatchLogs),
		LogDestination: map[string]string{"logGroup": group},
	}
}

// lines reads the records of a log group. They are written when the group's
// file is closed at the latest.
func (r *rig) lines(group string) (all []envelope, text string) {
	r.Helper()
	b, err := os.ReadFile(filepath.Join(r.logDir, strings.ReplaceAll(group, "/", "+"), "eve.json"))
	if err != nil {
		r.Fatal(err)
	}
	for s := bufio.NewScanner(strings.NewReader(string(b))); s.Scan(); {
		var e envelope
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			r.Fatalf("%s: %v", s.Text(), err)
		}
		all = append(all, e)
	}
	return all, string(b)
}

// synced writes a firewall's logging and waits until the node has taken it in:
// a second firewall that is written after it has come or gone.
func (r *rig) synced(logging ...wire.LogDestinationConfig) {
	r.Helper()
	r.putFirewall(logging...)
	r.settled()
}

// settled waits until the node has taken in what was written before.
func (r *rig) settled() {
	r.Helper()
	key, marker := scope.Firewall("marker"), scope.Sync("marker", zone, nodeID)
	r.put(key, resource.Firewall{Meta: resource.Meta{Name: "marker"}, PolicyARN: policyARN})
	await(r, marker, func(resource.Sync) bool { return true })
	if err := r.store.Delete(r.ctx, key); err != nil {
		r.Fatal(err)
	}
	r.awaitGone(marker)
}

const alertEcho = `alert tcp any any -> 198.51.100.0/24 any (msg:"to the echo"; flow:to_server,established; content:"hello"; sid:7;)`

func TestLogs(t *testing.T) {
	r := start(t)
	r.putAll(alertEcho, logTo(wire.LogTypeAlert, "/net/alerts"), logTo(wire.LogTypeFlow, "/net/flows"))
	c, bystander := r.connect(echo), r.connect(other)
	id := r.startOperation(resource.FlowFlush, toward("198.51.100.0/24"))
	if report := r.awaitReport(id); report.Flows != 1 {
		t.Fatalf("the flush chose %d flows", report.Flows)
	}
	r.synced(logTo(wire.LogTypeAlert, "/net/alerts-2"))

	alerts, text := r.lines("/net/alerts")
	if len(alerts) != 1 {
		t.Fatalf("%d alerts, want 1:\n%s", len(alerts), text)
	}
	a := alerts[0]
	if a.Firewall != "f" || a.Zone != zone || a.Timestamp == "" || a.Event.Type != "alert" || a.Event.SrcIP != client.Addr().String() ||
		a.Event.Alert == nil || a.Event.Alert.SID != 7 || a.Event.Alert.Signature != "to the echo" || a.Event.Alert.Action != "allowed" {
		t.Errorf("the alert is\n%s", text)
	}
	if !strings.Contains(text, groupARN) {
		t.Errorf("the alert does not name the rule group:\n%s", text)
	}

	flows, text := r.lines("/net/flows")
	if len(flows) != 2 {
		t.Fatalf("%d flow records, want one for each direction:\n%s", len(flows), text)
	}
	for i, from := range []netip.Addr{client.Addr(), echo.Addr()} {
		if f := flows[i]; f.Firewall != "f" || f.Event.Type != "netflow" || f.Event.SrcIP != from.String() || f.Event.Netflow["pkts"] == float64(0) {
			t.Errorf("the flow record from %v is not as it should be:\n%s", from, text)
		}
	}
	// As with Suricata, how the flow ended is told by its first record.
	if end := flows[0].Event.Netflow; end["reason"] != "flushed" || end["flow_operation_id"] != id {
		t.Errorf("the record does not tell of the flush %s:\n%s", id, text)
	}

	// The new destination takes what comes from now on, and no flow records.
	c.Close()
	r.connect(echo)
	bystander.Close()
	r.synced()
	if alerts, text := r.lines("/net/alerts-2"); len(alerts) != 1 {
		t.Errorf("%d alerts in the second log, want 1:\n%s", len(alerts), text)
	}
	if again, text := r.lines("/net/flows"); len(again) != 2 {
		t.Errorf("flow records after their log was turned off:\n%s", text)
	}
}

// What AWS's records do not have is logged where the configuration asks for it.
func TestDetailedLogs(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Detail = eve.Detail{Payload: true, Printable: true, Packet: true, Metadata: true, CommunityID: true}
		o.StatsEvery = 10 * time.Millisecond
	})
	r.putAll(strings.Replace(alertEcho, "sid:7;", "sid:7; metadata:by tests;", 1), logTo(wire.LogTypeAlert, "alerts"))
	r.connect(echo)
	time.Sleep(5 * r.node.opt.StatsEvery)
	r.synced()
	lines, text := r.lines("alerts")
	stats := 0
	for _, l := range lines {
		if l.Event.Type == "stats" && l.Firewall == "f" {
			stats++
		}
	}
	if stats == 0 || stats == len(lines) {
		t.Errorf("%d records of counters in %d:\n%s", stats, len(lines), text)
	}
	for _, want := range []string{`"payload_printable":"hello`, `"packet":"`, `"metadata":{"by":["tests"]}`, `"community_id":"1:`, `"pkts":`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// The flows that are there when the node stops are logged.
func TestFlowsAreLoggedAtTheEnd(t *testing.T) {
	var r *rig
	logDir := t.TempDir()
	t.Run("node", func(t *testing.T) {
		r = start(t, func(o *Options) { o.LogDir = logDir })
		r.putAll(passAll, logTo(wire.LogTypeFlow, "flows"))
		r.connect(echo)
	})
	r.TB = t
	flows, text := r.lines("flows")
	if len(flows) != 2 || flows[0].Event.Netflow["reason"] != "shutdown" {
		t.Errorf("the log has\n%s", text)
	}
}

func firewallID(name string) resource.FirewallID {
	return resource.FirewallID{Account: scope.Account, Name: name}
}

// group is a destination that is a log group.
func group(name string) destination {
	return destination{wire.LogDestinationTypeCloudWatchLogs, map[string]string{"logGroup": name}}
}

// Two firewalls, or two log types, may share a file.
func TestLogsAreShared(t *testing.T) {
	ctx := context.Background()
	l := newLogs(t.TempDir(), scope.Account, nil, nil)
	a, b := newRecorder(l, firewallID("a"), zone), newRecorder(l, firewallID("b"), zone)
	for _, r := range []*recorder{a, b} {
		if err := r.configure(ctx, destinations{wire.LogTypeAlert: group("g"), wire.LogTypeFlow: group("g")}); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.sinks) != 1 || l.sinks[scope.Account+"\x00g"].refs != 4 {
		t.Fatalf("files are %v", l.sinks)
	}
	if err := a.configure(ctx, destinations{}); err != nil {
		t.Fatal(err)
	}
	if a.Wants(engine.Flows) || !b.Wants(engine.Flows) || l.sinks[scope.Account+"\x00g"].refs != 2 {
		t.Errorf("after one has left: %d references", l.sinks[scope.Account+"\x00g"].refs)
	}
	if err := b.configure(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if len(l.sinks) != 0 {
		t.Errorf("files are left open: %v", l.sinks)
	}
}

// A destination that cannot be opened is tried again.
func TestLogThatCannotBeOpened(t *testing.T) {
	ctx, root := context.Background(), t.TempDir()
	blocked := filepath.Join(root, "g")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRecorder(newLogs(root, scope.Account, nil, nil), firewallID("a"), zone)
	want := destinations{wire.LogTypeAlert: group("g"), wire.LogTypeFlow: group("fine")}
	if err := r.configure(ctx, want); err == nil {
		t.Error("a file in the directory's place was no error")
	}
	if r.Wants(engine.Alerts) || !r.Wants(engine.Flows) {
		t.Error("the other destination is not in use")
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := r.configure(ctx, want); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if !r.Wants(engine.Alerts) {
		t.Error("the destination is still not in use")
	}
	if err := r.configure(ctx, nil); err != nil {
		t.Error(err)
	}
}

func TestDestinations(t *testing.T) {
	config := func(logType, kind string, at map[string]string) wire.LogDestinationConfig {
		return wire.LogDestinationConfig{LogType: &logType, LogDestinationType: &kind, LogDestination: at}
	}
	got := destinationsOf([]wire.LogDestinationConfig{
		config("ALERT", "S3", map[string]string{"bucketName": "b", "prefix": "p/q"}),
		config("FLOW", "KinesisDataFirehose", map[string]string{"deliveryStream": "d"}),
		config("TLS", "CloudWatchLogs", map[string]string{"logGroup": "g"}),
		config("OTHER", "S3", nil),
		{},
	})
	want := map[string]string{"ALERT": "b/p/q", "FLOW": "d", "TLS": "g"}
	groups := map[string]string{}
	for logType, d := range got {
		groups[logType] = d.group()
	}
	if !maps.Equal(groups, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestLogsToService: with delivery, records go to the service that the
// destination names, in AWS's envelope.
func TestLogsToService(t *testing.T) {
	got := make(chan string, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			DeliveryStreamName string
			Records            []struct{ Data []byte }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		answer := `{"FailedPutCount":0,"RequestResponses":[`
		for i, rec := range in.Records {
			got <- in.DeliveryStreamName + " " + string(rec.Data)
			if i > 0 {
				answer += ","
			}
			answer += `{"RecordId":"1"}`
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprint(w, answer+"]}")
	}))
	defer service.Close()
	l := newLogs(t.TempDir(), scope.Account, &delivery.Options{
		Account: "123456789012", Region: "us-east-1", SpoolDir: t.TempDir(), Endpoint: service.URL, AccessKeyID: "a", SecretAccessKey: "s",
	}, slog.New(slog.DiscardHandler))
	r := newRecorder(l, firewallID("edge"), zone)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream := destination{wire.LogDestinationTypeKinesisDataFirehose, map[string]string{"deliveryStream": "alerts"}}
	if err := r.configure(ctx, destinations{wire.LogTypeAlert: stream}); err != nil {
		t.Fatal(err)
	}
	r.newRecords().Alert(&eve.Alert{Signature: "found", ResourceARN: "arn:group"})
	if err := r.configure(ctx, nil); err != nil { // sends what is left
		t.Fatal(err)
	}
	l.wait(ctx)
	select {
	case line := <-got:
		for _, part := range []string{"alerts ", `"firewall_name":"edge"`, `"signature":"found"`, `"resource_arn":"arn:group"`} {
			if !strings.Contains(line, part) {
				t.Errorf("%s lacks %s", line, part)
			}
		}
	default:
		t.Error("nothing was delivered")
	}
	if s := l.stats(); s.Written != 1 || s.Dropped != 0 {
		t.Errorf("counts are %+v", s)
	}
}

// TestServiceThatIsAway: a destination whose service does not answer costs the
// caller of configure no time when it goes, what it could not send is there when
// it comes back, and the end of the node does not wait for it.
func TestServiceThatIsAway(t *testing.T) {
	asked := make(chan struct{}, 10)
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done() // until the client gives up
	}))
	defer service.Close()
	l := newLogs(t.TempDir(), scope.Account, &delivery.Options{
		Account: "123456789012", Region: "us-east-1", SpoolDir: t.TempDir(), Endpoint: service.URL, AccessKeyID: "a", SecretAccessKey: "s",
	}, slog.New(slog.DiscardHandler))
	r := newRecorder(l, firewallID("edge"), zone)
	stream := destination{wire.LogDestinationTypeKinesisDataFirehose, map[string]string{"deliveryStream": "alerts"}}
	configure := func(d destinations) {
		t.Helper()
		begun := time.Now()
		if err := r.configure(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("configure took %v", took)
		}
	}
	configure(destinations{wire.LogTypeAlert: stream})
	r.newRecords().Alert(&eve.Alert{Signature: "found"})
	configure(nil)
	<-asked // the last attempt is under way, and will not end by itself
	configure(destinations{wire.LogTypeAlert: stream})
	if !r.Wants(engine.Alerts) {
		t.Error("the destination is not in use again")
	}
	<-asked // what was left is sent again
	configure(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	ended := make(chan struct{})
	go func() { l.wait(ctx); close(ended) }()
	select {
	case <-ended:
	case <-time.After(within):
		t.Fatal("the end of the node waits for the service")
	}
	if s := l.stats(); s.Written != 0 || s.Dropped != 0 {
		t.Errorf("counts are %+v, but the record is still to be delivered", s)
	}
}
