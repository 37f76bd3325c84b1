package oracle

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// requiredDetection is how many records of TestDetection must be the same in every field, in percent.
const requiredDetection = 95

// TestDetection compares on which packets rules about protocols alert, and what records tell of them, where each
// side begins with what one protocol or none begins with. SLUICE_SEED and SLUICE_ROUNDS are as for TestAgreement.
func TestDetection(t *testing.T) {
	suricata := needSuricata(t)
	_, r := seeded(t)
	same, all := 0, 0
	differences := differences{}
	for round := range number("SLUICE_ROUNDS", 6) {
		dir := roundDir(t, round)
		mode := "ids" // inline, what breaks a parser is dropped
		capture := filepath.Join(dir, "traffic.pcap")
		writeCapture(t, capture, detectionTraffic(r, 40))
		rules := detectionRules(r)
		a, b := suricataRecords(t, suricata, dir, mode, rules, capture), sluiceRecords(t, dir, mode, rules, capture)
		n, of := differences.compare(aboutProtocols(a), aboutProtocols(b), mode, rules)
		same, all = same+n, all+of
	}
	differences.log(t)
	share := 100 * float64(same) / float64(max(all, 1))
	t.Logf("%d of %d records alike: %.1f%%", same, all, share)
	if share < requiredDetection {
		t.Errorf("agreement is below %d%%", requiredDetection)
	}
}

// aboutProtocols leaves the packets of alerts, and what alerts and flows say about protocols.
func aboutProtocols(all records) records {
	kept := records{}
	for key, list := range all {
		if !strings.HasPrefix(key, `"alert"`) && !strings.HasPrefix(key, `"flow"`) {
			continue
		}
		for _, r := range list {
			if strings.Contains(r["pkt_src"], "timeout") {
				continue
			}
			maps.DeleteFunc(r, func(field, _ string) bool { return field != "pcap_cnt" && !strings.HasPrefix(field, "app_proto") })
			kept[key] = append(kept[key], r)
		}
	}
	return kept
}

// detectionRules are about protocols, some with something else.
func detectionRules(r *rand.Rand) []string {
	var rules []string
	add := func(format string, args ...any) {
		rules = append(rules, fmt.Sprintf(format, args...)+fmt.Sprintf("sid:%d;)", len(rules)+1))
	}
	protocol := func() string { return pick(r, []string{"http", "tls", "ssh", "smtp", "ftp", "dns", "smb", "failed"}) }
	for range 4 {
		add("alert tcp any any -> any any (app-layer-protocol:%s; ", protocol())
		add("alert tcp any any -> any any (app-layer-protocol:!%s; ", protocol())
		add("alert tcp any any -> any any (flow:established,%s; app-layer-protocol:%s; ", pick(r, []string{"to_server", "to_client"}), protocol())
		add("alert udp any any -> any any (app-layer-protocol:%s; ", pick(r, []string{"dns", "failed", "!dns", "!failed"}))
	}
	for _, event := range []string{"mismatch_protocol_both_directions", "wrong_direction_first_data", "detect_protocol_only_one_direction"} {
		add("alert tcp any any -> any any (app-layer-event:applayer_%s; ", event)
	}
	return rules
}

// detectionTraffic makes conversations one after the other.
func detectionTraffic(r *rand.Rand, flows int) [][]byte {
	made := &traffic{r: r}
	noise := func() string { return "#" + string(sentence(r)) }
	client := func() string {
		return pick(r, []string{
			"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "SSH-2.0-x\r\n", "EHLO a\r\n", "USER a\r\n", string(clientHello("a.example")),
			noise(), noise(), "x",
		})
	}
	server := func() string {
		return pick(r, []string{
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "SSH-2.0-y\r\n", "220 mail.example\r\n", noise(), noise(), "x",
		})
	}
	for i := range flows {
		from, to := fmt.Sprintf("10.2.%d.%d:%d", r.IntN(3), 1+r.IntN(3), 20000+i), fmt.Sprintf("192.0.2.%d:%d", 1+r.IntN(3), pick(r, []int{8000, 80, 443, 25, 22}))
		turns := [][]byte{[]byte(client()), []byte(server()), []byte(noise()), []byte(noise())}
		if r.IntN(3) == 0 {
			turns[0] = nil // the server begins
			turns[2] = []byte(client())
		}
		made.connection(from, to, turns...)
	}
	return made.frames
}
