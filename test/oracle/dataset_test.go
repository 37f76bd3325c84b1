package oracle

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/internal/packettest"
)

// setRules save a set of every type, and ask for what an earlier run has saved and a list has.
func setRules(list string) []string {
	return []string{
		`alert dns any any -> any any (dns.query; dataset:set,names,type string,state names.lst; sid:1;)`,
		`alert dns any any -> any any (dns.query; content:"e"; dataset:unset,names; sid:2;)`,
		`alert dns any any -> any any (dns.query; to_md5; dataset:set,md5,type md5,state md5.lst; sid:3;)`,
		`alert dns any any -> any any (dns.query; to_sha256; dataset:isnotset,sha256,type sha256,state sha256.lst; dataset:set,sha256; sid:4;)`,
		`alert udp 10.0.0.0/8 any -> any 53 (ip.src; dataset:set,four,type ipv4,save four.lst; sid:5;)`,
		`alert udp 2001:db8::/32 any -> any 53 (ip.src; dataset:set,six,type ip,state six.lst; sid:6;)`,
		`alert dns any any -> any any (dns.query; dataset:isset,names; sid:7;)`,
		`alert dns any any -> any any (dns.query; dataset:isset,few,type string,load ` + list + `; sid:8;)`,
		`alert dns any any -> any any (dns.query; datarep:few,>,3; sid:9;)`,
	}
}

// TestDataSets runs queries of names through both engines, twice, and compares what they alert on and the
// files that they write, whose lines are in no order.
func TestDataSets(t *testing.T) {
	suricata := needSuricata(t)
	_, r := seeded(t)
	alerts := 0
	for round := range number("SLUICE_ROUNDS", 5) {
		dir := roundDir(t, round)
		list := filepath.Join(dir, "few.lst")
		var few []string
		for i, name := range names[:3] {
			few = append(few, fmt.Sprintf("%s,%d", base64.StdEncoding.EncodeToString([]byte(name)), 5*i))
		}
		writeFile(t, list, few)
		rules := setRules(list)
		data := map[string]string{"suricata": filepath.Join(dir, "theirs"), "sluice": filepath.Join(dir, "ours")}
		for _, d := range data {
			if err := os.MkdirAll(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			made := &traffic{r: r}
			for i := range 40 {
				from, to := fmt.Sprintf("10.1.2.%d:%d", r.IntN(9), 1025+i), "192.0.2.1:53"
				if r.IntN(3) == 0 {
					from, to = fmt.Sprintf("[2001:db8::%d]:%d", 1+r.IntN(9), 1025+i), "[2001:db8::53]:53"
				}
				made.add(packettest.UDP(from, to, dnsQuery(r)))
			}
			capture := filepath.Join(dir, "traffic.pcap")
			writeCapture(t, capture, made.frames)
			theirs := runSuricata(t, suricata, dir, "ids", rules, capture, "--data-dir", data["suricata"])
			ours := runSluice(t, dir, "ids", rules, capture, "--data-dir", data["sluice"])
			if len(theirs.refused)+len(ours.refused) > 0 {
				t.Fatalf("rules were refused: %v, %v", theirs.refused, ours.refused)
			}
			a, b := bySID(theirs.events), bySID(ours.events)
			for sid := 1; sid <= len(rules); sid++ {
				alerts += len(a[sid])
				if !reflect.DeepEqual(a[sid], b[sid]) {
					t.Errorf("round %d, sid %d: Suricata %v, Sluice %v", round, sid, a[sid], b[sid])
				}
			}
			for _, name := range []string{"names.lst", "md5.lst", "sha256.lst", "four.lst", "six.lst"} {
				theirs, ours := sortedLines(t, filepath.Join(data["suricata"], name)), sortedLines(t, filepath.Join(data["sluice"], name))
				if !slices.Equal(theirs, ours) {
					t.Errorf("round %d: Suricata wrote %s with %q, Sluice with %q", round, name, theirs, ours)
				}
			}
		}
	}
	if alerts == 0 {
		t.Error("nothing was ever found")
	}
	t.Logf("%d alerts", alerts)
}

func sortedLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	slices.Sort(lines)
	return lines
}
