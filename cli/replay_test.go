package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio/pcap"
)

// replayFiles makes a directory with a capture: a connection in which the
// client says hello and the server world, a datagram each way, and a segment
// of a connection whose start is missing.
func replayFiles(t *testing.T, files map[string]string) (dir, capture string) {
	t.Helper()
	const client, server = "10.0.0.1:40000", "192.0.2.1:8000"
	packets := [][]byte{
		packettest.TCP(client, server, packet.SYN, 100, 0, nil),
		packettest.TCP(server, client, packet.SYN|packet.ACK, 500, 101, nil),
		packettest.TCP(client, server, packet.ACK, 101, 501, nil),
		packettest.TCP(client, server, packet.PSH|packet.ACK, 101, 501, []byte("hello")),
		packettest.TCP(server, client, packet.PSH|packet.ACK, 501, 106, []byte("world")),
		packettest.TCP(client, server, packet.ACK, 106, 506, nil),
		packettest.UDP("10.0.0.1:5000", "192.0.2.1:6000", []byte("ask")),
		packettest.UDP("192.0.2.1:6000", "10.0.0.1:5000", []byte("answer")),
		packettest.TCP("10.0.0.1:41000", "192.0.2.1:9000", packet.PSH|packet.ACK, 1, 1, []byte("midstream")),
	}
	dir = t.TempDir()
	capture = filepath.Join(dir, "traffic.pcap")
	writeCapture(t, capture, packets)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, capture
}

// writeCapture makes a capture of IP packets.
func writeCapture(t *testing.T, path string, packets [][]byte) {
	t.Helper()
	var b bytes.Buffer
	w := pcap.NewWriter(&b)
	for i, p := range packets {
		if err := w.Write(packet.LinkRaw, int64(1000+i)*int64(time.Millisecond), p, len(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replay runs the command.
func replay(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Now: time.Now}
	code = Execute(context.Background(), env, NewRoot(env, NewReplay(env)), append([]string{"replay"}, args...))
	return code, out.String(), errs.String()
}

// readReplay runs the command with -o json and reads the verdicts.
func readReplay(t *testing.T, args ...string) *verdicts {
	t.Helper()
	code, stdout, stderr := replay(t, append(args, "-o", "json")...)
	if code != ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	v := &verdicts{}
	if err := json.Unmarshal([]byte(stdout), v); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	return v
}

func TestReplayRules(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{"my.rules": `
alert tcp $HOME_NET any -> any any (msg:"greeting"; content:"hello"; sid:1;)
drop tcp any any -> any any (content:"world"; flow:to_client; sid:2;)
`})
	rules, eve, out := filepath.Join(dir, "my.rules"), filepath.Join(dir, "eve.json"), filepath.Join(dir, "out.pcap")
	for _, test := range []struct {
		name            string
		flags           []string
		passed, dropped uint64
		by              map[string]uint64
		flow            string // verdict of the TCP connection
	}{
		{"ids", []string{"--mode", "ids"}, 9, 0, nil, "pass"},
		{"ips", []string{"--mode", "ips"}, 6, 3, map[string]uint64{"rules": 1, "flow drop": 1, "stream midstream": 1}, "partial"},
		{"continue", []string{"--mode", "ips", "--stream-exception-policy", "continue"}, 7, 2, map[string]uint64{"rules": 1, "flow drop": 1}, "partial"},
		{"midstream", []string{"--mode", "ips", "--midstream"}, 7, 2, map[string]uint64{"rules": 1, "flow drop": 1}, "partial"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := readReplay(t, append(test.flags, "--rules", rules, "--var", "HOME_NET=[10.0.0.0/8]", "--eve", eve, "--out", out, capture)...)
			if v.Packets != 9 || v.Passed != test.passed || v.Dropped != test.dropped || len(v.DroppedBy) != len(test.by) {
				t.Errorf("%d packets, %d passed, %d dropped by %v", v.Packets, v.Passed, v.Dropped, v.DroppedBy)
			}
			for reason, n := range test.by {
				if v.DroppedBy[reason] != n {
					t.Errorf("dropped by %v, want %v", v.DroppedBy, test.by)
				}
			}
			if v.Alerts[1] != 1 || v.Alerts[2] != 1 {
				t.Errorf("alerts %v", v.Alerts)
			}
			f := v.Flows["tcp 10.0.0.1:40000 > 192.0.2.1:8000"]
			if f == nil || f.Verdict != test.flow || f.Packets != 6 || f.Alerts[1] != 1 {
				t.Errorf("the connection: %+v of %v", f, v.Flows)
			}
			if n := countCapture(t, out); n != test.passed {
				t.Errorf("%d packets in the output, want %d", n, test.passed)
			}
			records := map[string]uint64{}
			text, err := os.ReadFile(eve)
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(text) {
				var e struct {
					Type string `json:"event_type"`
				}
				if err := json.Unmarshal(line, &e); err != nil {
					t.Fatalf("%v in %s", err, line)
				}
				records[e.Type]++
			}
			if records["alert"] != 2 || records["flow"] != 3 || records["netflow"] != 5 || records["drop"] != test.dropped || records["stats"] != 1 {
				t.Errorf("records: %v", records)
			}
		})
	}
}

func countCapture(t *testing.T, path string) (n uint64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcap.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var rec pcap.Record
		if err := r.Next(&rec); err == io.EOF {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

func TestReplayTable(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{"my.rules": `drop udp any any -> any any (msg:"ask"; content:"ask"; sid:7;)`})
	code, stdout, stderr := replay(t, "--rules", filepath.Join(dir, "my.rules"), "--mode", "ips", capture)
	want := `WHAT                               COUNT
flows                                  3
packets                                9
packets passed                         7
packets dropped                        2
packets dropped: rules                 1
packets dropped: stream midstream      1
alerts: sid 7 ask                      1
`
	if code != ExitOK || stdout != want || stderr != "" {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

func TestReplayWrongRules(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{"my.rules": `alert tcp any any -> any any (sid:1;)
alert tcp any any -> any any (content:"x"; asn1:double_overflow; sid:2;)
alert tcp any any -> any any (sid:1;)
alert tcp $NOBODY any -> any any (sid:4;)
alert tcp any any any any (sid:5;)
`})
	path := filepath.Join(dir, "my.rules")
	code, stdout, stderr := replay(t, "--rules", path, capture)
	if code != ExitError || stdout != "" {
		t.Errorf("exit code %d, output %q", code, stdout)
	}
	for _, want := range []string{`:2:44: keyword "asn1"`, ":3:1: sid 1 is already used in line 1", ":4:1: source address: variable $NOBODY", ":5:", "4 of the rules"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is not said in:\n%s", want, stderr)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(stderr), "\n")[:4] {
		if !strings.HasPrefix(line, path+":") {
			t.Errorf("no place in %q", line)
		}
	}
}

// Of rules with one sid, the newest counts.
func TestReplayRevisions(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{"my.rules": `alert udp any any -> any any (content:"nothing"; sid:1; rev:1;)
alert udp any any -> any any (content:"ask"; sid:1; rev:2;)
alert udp any any -> any any (requires:version >= 9; sid:2;)
`})
	rules := filepath.Join(dir, "my.rules")
	code, stdout, stderr := replay(t, "--rules", rules, "-o", "json", capture)
	var v struct{ Alerts map[string]int }
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != ExitOK || len(v.Alerts) != 1 {
		t.Errorf("exit code %d, %v, %s", code, err, stdout)
	}
	want := rules + ":1:1: warning: the rule is left out: line 2 has a newer revision of it\n" +
		rules + ":3:1: warning: the rule is left out: it is for another version: >= 9\n"
	if stderr != want {
		t.Errorf("got %q, want %q", stderr, want)
	}
}

func TestReplayExpect(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{
		"my.rules":    `alert udp any any -> any any (content:"ask"; sid:7;)`,
		"other.rules": `drop udp any any -> any any (content:"ask"; sid:8;)`,
		"part.json":   `{"flows": {"udp 10.0.0.1:5000 > 192.0.2.1:6000": {"verdict": "partial"}}}`,
	})
	expected := filepath.Join(dir, "verdicts.json")
	run := func(rules, file string) (int, string) {
		code, _, stderr := replay(t, "--rules", filepath.Join(dir, rules), "--mode", "ips", "--stream-exception-policy", "continue", "--expect", filepath.Join(dir, file), capture)
		return code, stderr
	}
	if code, _, stderr := replay(t, "--rules", filepath.Join(dir, "my.rules"), "--mode", "ips", "--stream-exception-policy", "continue", "--write-expect", expected, capture); code != ExitOK {
		t.Fatal(stderr)
	}
	if code, stderr := run("my.rules", "verdicts.json"); code != ExitOK {
		t.Errorf("the same verdicts: exit code %d\n%s", code, stderr)
	}
	code, stderr := run("other.rules", "verdicts.json")
	for _, want := range []string{
		"dropped: expected 0, got 1\n",
		"alerts: 7: expected 1, got none\n",
		"alerts: 8: expected none, got 1\n",
		"dropped_by: rules: expected none, got 1\n",
		`flows: udp 10.0.0.1:5000 > 192.0.2.1:6000: verdict: expected "pass", got "partial"` + "\n",
	} {
		if code != ExitError || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, %q is not said in:\n%s", code, want, stderr)
		}
	}
	code, stderr = run("other.rules", "part.json")
	if code != ExitError || strings.Count(stderr, "\n") != 3 || !strings.Contains(stderr, "expected none, got a flow (pass, 6 packets)") {
		t.Errorf("only flows are expected: exit code %d\n%s", code, stderr)
	}
}

func TestReplayPolicy(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{
		"policy.json": `{"FirewallPolicyName": "p", "FirewallPolicy": {
			"StatelessDefaultActions": ["aws:forward_to_sfe"], "StatelessFragmentDefaultActions": ["aws:forward_to_sfe"],
			"StatefulRuleGroupReferences": [{"ResourceArn": "arn:aws:network-firewall:us-east-1:123456789012:stateful-rulegroup/greetings"}]}}`,
		"group.json": `{"RuleGroupName": "greetings", "Type": "STATEFUL", "Capacity": 10,
			"RuleGroup": {"RulesSource": {"RulesString": "drop udp $HOME_NET any -> any any (content:\"ask\"; sid:3;)"}}}`,
		"other.json": `{"packets": 1}`,
	})
	v := readReplay(t, "--policy", dir, "--var", "HOME_NET=10.0.0.0/8", capture)
	if v.Mode != "ips" || v.DroppedBy["rules"] != 1 || v.DroppedBy["flow drop"] != 1 || v.DroppedBy["stream midstream"] != 1 {
		t.Errorf("%+v", v)
	}
	if v := readReplay(t, "--policy", dir, capture); v.DroppedBy["rules"] != 1 {
		t.Errorf("HOME_NET is not given: %+v", v)
	}
	if v := readReplay(t, "--policy", dir, "--var", "HOME_NET=10.99.0.0/16", capture); v.DroppedBy["rules"] != 0 {
		t.Errorf("HOME_NET is another network: %+v", v)
	}
	if err := os.Remove(filepath.Join(dir, "group.json")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := replay(t, "--policy", dir, capture); code != ExitError || !strings.Contains(stderr, "stateful-rulegroup/greetings") {
		t.Errorf("a group is missing: exit code %d, %s", code, stderr)
	}
}

func TestReplayFragments(t *testing.T) {
	datagram := func(payload string) [][]byte {
		return packettest.Fragments(packettest.UDP("10.0.0.1:5000", "192.0.2.1:6000", []byte(payload)), 36)
	}
	// The second fragment comes twice, and is not the same.
	good, evil := datagram("12345678harmless, as the rest"), datagram("12345678exploits, as the rest")
	dir, _ := replayFiles(t, map[string]string{"my.rules": `
alert udp any any -> any any (content:"harmless"; sid:1;)
alert udp any any -> any any (content:"exploits"; sid:2;)
`})
	capture := filepath.Join(dir, "fragments.pcap")
	writeCapture(t, capture, [][]byte{good[0], good[1], evil[1], good[2]})
	for policy, sid := range map[string]uint32{"default": 1, "first": 1, "windows": 1, "last": 2, "linux": 2} {
		v := readReplay(t, "--rules", filepath.Join(dir, "my.rules"), "--checksums", "off", "--fragments", policy, capture)
		if v.Alerts[sid] != 1 || len(v.Alerts) != 1 {
			t.Errorf("%s: alerts %v, want %d", policy, v.Alerts, sid)
		}
	}
}

func TestReplayDamagedCapture(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{"my.rules": ""})
	text, err := os.ReadFile(capture)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(capture, text[:len(text)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := replay(t, "--rules", filepath.Join(dir, "my.rules"), capture)
	if code != ExitOK || !strings.Contains(stderr, "warning: "+capture) || !strings.Contains(stderr, "packet 9") || !strings.Contains(stdout, "packets passed       8\n") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// TestReplayUnfilledChecksums: a capture from a host that leaves checksums to its card is no riddle.
func TestReplayUnfilledChecksums(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{"my.rules": `alert tcp any any -> any any (content:"hello"; sid:1;)`})
	rules := filepath.Join(dir, "my.rules")
	const says = "traffic.pcap: 1 of 9 packets have a wrong TCP checksum and are no part of a connection; if it was taken on a host that sent them, give --checksums off"
	if code, _, stderr := replay(t, "--rules", rules, capture); code != ExitOK || stderr != "" {
		t.Errorf("as it is: %d, %s", code, stderr)
	}
	text, err := os.ReadFile(capture)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte("hello"))
	text[at-4] ^= 1 // TCP: checksum 2 | urgent pointer 2 | payload
	if err := os.WriteFile(capture, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := replay(t, "--rules", rules, capture); code != ExitOK || !strings.Contains(stderr, says) {
		t.Errorf("with a wrong checksum: %d, %s", code, stderr)
	}
	if code, stdout, stderr := replay(t, "--rules", rules, "--checksums", "off", capture); code != ExitOK || stderr != "" || !strings.Contains(stdout, "sid 1") {
		t.Errorf("without checksums: %d, %s%s", code, stdout, stderr)
	}
}

func TestReplayUsage(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{"my.rules": ""})
	rules := filepath.Join(dir, "my.rules")
	for _, args := range [][]string{
		{capture},
		{"--rules", rules},
		{"--rules", rules, "--policy", dir, capture},
		{"--rules", rules, "--mode", "inline", capture},
		{"--rules", rules, "--checksums", "maybe", capture},
		{"--rules", rules, "--fragments", "amiga", capture},
		{"--rules", rules, "--stream-exception-policy", "drop-flow", capture},
		{"--rules", rules, "--var", "HOME_NET", capture},
		{"--rules", rules, "--var", "HOME_NET=nonsense", capture},
		{"--rules", rules, "-o", "xml", capture},
		{"--rules", rules, "--community-id", "65536", capture},
	} {
		if code, _, stderr := replay(t, args...); code != ExitUsage {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	for _, args := range [][]string{
		{"--rules", filepath.Join(dir, "none"), capture},
		{"--rules", rules, filepath.Join(dir, "none")},
		{"--rules", rules, rules},
		{"--policy", filepath.Join(dir, "none"), capture},
	} {
		if code, _, stderr := replay(t, args...); code != ExitError || !strings.Contains(stderr, "sluice: ") {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
}
