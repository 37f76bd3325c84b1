package oracle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/cli"
)

// event is one alert or dropped packet.
type event struct {
	SID    int // 0 for a drop
	Flow   string
	Packet int
}

// judgement is what an engine made of a capture.
type judgement struct {
	refused map[int]string // lines of rules
	events  []event
}

// required is how much of the pairs of a rule and a capture both engines must judge alike, in percent.
const required = 99.5

// TestAgreement runs random rules over random captures, and prints for how many pairs of a rule and a
// capture both engines alert on the same flows, or, of the rules' verdicts, drop the same
// packets; and for how many with the same packets, as often. SLUICE_ORACLE=1 runs
// it; SLUICE_SEED repeats a run, SLUICE_ROUNDS says how many captures there are, with 40 rules each.
func TestAgreement(t *testing.T) {
	suricata := needSuricata(t)
	seed, r := seeded(t)

	alike, exact, pairs, shown := 0, 0, 0, 0
	for round := range number("SLUICE_ROUNDS", 260) {
		dir := roundDir(t, round)
		frames := randomTraffic(r, 30)
		var rules []string
		mode := pick(r, []string{"ids", "ips", "ips"})
		for i := range 40 {
			action := "alert"
			if mode == "ips" && round%2 == 1 && r.IntN(12) == 0 {
				action = pick(r, []string{"drop", "pass", "reject"})
			}
			rules = append(rules, randomRule(r, action, i+1))
		}
		capture := filepath.Join(dir, "traffic.pcap")
		writeCapture(t, capture, frames)

		// Rules that one of them refuses are left out for both.
		theirs := runSuricata(t, suricata, dir, mode, rules, capture)
		ours := runSluice(t, dir, mode, rules, capture)
		if len(theirs.refused)+len(ours.refused) > 0 {
			for line, why := range theirs.refused {
				if _, both := ours.refused[line]; !both {
					t.Logf("only Suricata refuses: %s\n\t%s", rules[line-1], why)
				}
				rules[line-1] = ""
			}
			for line, why := range ours.refused {
				if _, both := theirs.refused[line]; !both {
					t.Logf("only Sluice refuses: %s\n\t%s", rules[line-1], why)
				}
				rules[line-1] = ""
			}
			theirs = runSuricata(t, suricata, dir, mode, rules, capture)
			ours = runSluice(t, dir, mode, rules, capture)
		}
		a, b := bySID(theirs.events), bySID(ours.events)
		for sid := range len(rules) + 1 {
			if sid > 0 && rules[sid-1] == "" {
				continue
			}
			pairs++
			if slices.Equal(a[sid], b[sid]) {
				exact++
				alike++
				continue
			}
			same := slices.Equal(outcome(sid, a[sid]), outcome(sid, b[sid]))
			if same {
				alike++
			}
			if shown == 40 || same && os.Getenv("SLUICE_EXACT") == "" {
				continue
			}
			shown++
			what := "verdicts"
			if sid > 0 {
				what = rules[sid-1]
			}
			t.Logf("round %d, %s: %s%s", round, mode, what, differ(a[sid], b[sid]))
			for _, text := range rules {
				if sid == 0 && text != "" && !strings.HasPrefix(text, "alert") {
					t.Log(text)
				}
			}
		}
	}
	share := func(n int) float64 { return 100 * float64(n) / float64(max(pairs, 1)) }
	t.Logf("SLUICE_SEED=%d: of %d pairs of a rule and a capture %d are judged alike, %.2f%%; %d to the packet, %.2f%%",
		seed, pairs, alike, share(alike), exact, share(exact))
	if share(alike) < required {
		t.Errorf("agreement is below %v%%", required)
	}
}

// needSuricata returns the path of Suricata, or skips the test where it was not asked for or cannot be.
func needSuricata(t *testing.T) string {
	t.Helper()
	if os.Getenv("SLUICE_ORACLE") == "" {
		t.Skip("not asked for: set SLUICE_ORACLE=1, or run make test-oracle")
	}
	suricata, err := exec.LookPath("suricata")
	if err != nil {
		t.Skip("suricata 7 is not installed: on Debian, apt install suricata")
	}
	return suricata
}

// seeded returns the seed of SLUICE_SEED, or a new one, and what it makes.
func seeded(t *testing.T) (int64, *rand.Rand) {
	t.Helper()
	seed := number("SLUICE_SEED", time.Now().UnixNano())
	t.Logf("SLUICE_SEED=%d", seed)
	return seed, rand.New(rand.NewPCG(uint64(seed), 0))
}

// roundDir is where a round's capture, rules and records are. SLUICE_KEEP keeps them.
func roundDir(t *testing.T, round int64) string {
	t.Helper()
	keep := os.Getenv("SLUICE_KEEP")
	if keep == "" {
		return t.TempDir()
	}
	dir := filepath.Join(keep, fmt.Sprint(round))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// number reads a number from the environment.
func number(name string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// bySID sorts events by their rule, and those of a rule by packet; 0 has the drops.
func bySID(events []event) map[int][]event {
	all := map[int][]event{}
	for _, e := range events {
		all[e.SID] = append(all[e.SID], e)
	}
	for sid := range all {
		slices.SortFunc(all[sid], func(a, b event) int {
			return cmp.Or(cmp.Compare(a.Packet, b.Packet), cmp.Compare(a.Flow, b.Flow))
		})
	}
	return all
}

// outcome is what a rule did, without how often: the flows that it alerted on, or the packets
// that were dropped.
func outcome(sid int, events []event) []string {
	var all []string
	for _, e := range events {
		if sid == 0 {
			all = append(all, fmt.Sprint(e.Packet))
		} else {
			all = append(all, e.Flow)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// differ lists flows on which the engines differ, with the packets.
func differ(theirs, ours []event) string {
	packets := func(events []event) map[string][]int {
		all := map[string][]int{}
		for _, e := range events {
			all[e.Flow] = append(all[e.Flow], e.Packet)
		}
		return all
	}
	a, b := packets(theirs), packets(ours)
	all := maps.Clone(a)
	maps.Copy(all, b)
	var text strings.Builder
	n := 0
	for _, flow := range slices.Sorted(maps.Keys(all)) {
		if slices.Equal(a[flow], b[flow]) {
			continue
		}
		if n++; n > 3 {
			text.WriteString("\n\t...")
			break
		}
		fmt.Fprintf(&text, "\n\t%s: packets %v by Suricata, %v by Sluice", flow, a[flow], b[flow])
	}
	return text.String()
}

var refusal = map[string]*regexp.Regexp{
	"suricata": regexp.MustCompile(`(?m)^.*error parsing signature .* at line (\d+)$`),
	"sluice":   regexp.MustCompile(`(?m)^\S+?:(\d+):\d+: .*$`),
}

func refusals(engine, output string) map[int]string {
	lines := map[int]string{}
	for _, m := range refusal[engine].FindAllStringSubmatch(output, -1) {
		line, _ := strconv.Atoi(m[1])
		lines[line] = m[0]
	}
	return lines
}

func runSuricata(t *testing.T, binary, dir, mode string, rules []string, capture string, more ...string) judgement {
	t.Helper()
	out := filepath.Join(dir, "suricata")
	os.RemoveAll(out)
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(out, "rules")
	writeFile(t, file, rules)
	config, err := filepath.Abs("testdata/suricata.yaml")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-c", config, "-S", file, "-l", out, "-r", capture, "--runmode=single"}
	args = append(args, more...)
	if mode == "ips" {
		args = append(args, "--simulate-ips")
	}
	output, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("suricata: %v\n%s", err, output)
	}
	return judgement{refusals("suricata", string(output)), readEvents(t, filepath.Join(out, "eve.json"))}
}

func runSluice(t *testing.T, dir, mode string, rules []string, capture string, more ...string) judgement {
	t.Helper()
	file, eve := filepath.Join(dir, "rules"), filepath.Join(dir, "eve.json")
	writeFile(t, file, rules)
	os.Remove(eve)
	args := []string{"--rules", file, "--var", "HOME_NET=[10.0.0.0/8]", "--var", "EXTERNAL_NET=!$HOME_NET", "--mode", mode, "--eve", eve}
	code, stderr := sluiceReplay(t, append(append(args, more...), capture)...)
	if refused := refusals("sluice", stderr); len(refused) > 0 {
		return judgement{refused: refused}
	}
	if code != 0 {
		t.Fatalf("sluice: exit code %d\n%s", code, stderr)
	}
	return judgement{events: readEvents(t, eve)}
}

// sluiceReplay runs sluice replay.
func sluiceReplay(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Now: time.Now}
	code = cli.Execute(t.Context(), env, cli.NewRoot(env, cli.NewReplay(env)), append([]string{"replay"}, args...))
	return code, errs.String()
}

func writeFile(t *testing.T, path string, lines []string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventRecord is what TestAgreement reads of a record.
type eventRecord struct {
	Type    string `json:"event_type"`
	Packet  int    `json:"pcap_cnt"`
	Proto   string `json:"proto"`
	Src     string `json:"src_ip"`
	Dst     string `json:"dest_ip"`
	SrcPort int    `json:"src_port"`
	DstPort int    `json:"dest_port"`
	Alert   struct {
		SID int `json:"signature_id"`
	} `json:"alert"`
}

func readEvents(t *testing.T, path string) []event {
	t.Helper()
	var events []event
	for _, e := range readLines[eventRecord](t, path) {
		ends := []string{fmt.Sprintf("%s:%d", e.Src, e.SrcPort), fmt.Sprintf("%s:%d", e.Dst, e.DstPort)}
		slices.Sort(ends)
		flow := fmt.Sprintf("%s %s %s", e.Proto, ends[0], ends[1])
		switch e.Type {
		case "alert":
			events = append(events, event{SID: e.Alert.SID, Flow: flow, Packet: e.Packet})
		case "drop":
			events = append(events, event{Flow: flow, Packet: e.Packet})
		}
	}
	return events
}

// readLines reads a file of JSON records, one a line.
func readLines[T any](t *testing.T, path string) []T {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	for line := range bytes.Lines(text) {
		var r T
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, r)
	}
	return all
}
