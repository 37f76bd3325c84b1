package oracle

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// requiredRecords is how many records must be the same in every field, in percent.
const requiredRecords = 99

// examples is how many differences of a field a test prints.
const examples = 3

// TestRecords compares the EVE records of both engines field by field.
func TestRecords(t *testing.T) {
	if os.Getenv("SLUICE_ORACLE") == "" {
		t.Skip("not asked for: set SLUICE_ORACLE=1, or run make test-oracle")
	}
	suricata, err := exec.LookPath("suricata")
	if err != nil {
		t.Skip("suricata 7 is not installed: on Debian, apt install suricata")
	}
	seed := number("SLUICE_SEED", rand.Int64())
	t.Logf("SLUICE_SEED=%d", seed)
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	same, all := 0, 0
	differences := differences{}
	for range number("SLUICE_ROUNDS", 6) {
		dir := t.TempDir()
		mode := pick(r, []string{"ids", "ips"})
		capture := filepath.Join(dir, "traffic.pcap")
		writeCapture(t, capture, recordTraffic(r, 40))
		rules := recordRules(r, mode)
		a, b := suricataRecords(t, suricata, dir, mode, rules, capture), sluiceRecords(t, dir, mode, rules, capture)
		n, of := differences.compare(a, b, mode, rules)
		same, all = same+n, all+of
	}
	differences.log(t)
	share := 100 * float64(same) / float64(max(all, 1))
	t.Logf("%d of %d records alike: %.1f%%", same, all, share)
	if share < requiredRecords {
		t.Errorf("agreement is below %d%%", requiredRecords)
	}
}

// differences are what differs between records, by kind of record and field.
type differences map[string][]string

// compare adds the differences of two sets of records, and counts the records that are the same.
func (d differences) compare(suricata, sluice records, mode string, rules []string) (same, all int) {
	ruleOf := func(key string) string {
		var sid int
		if _, s, ok := strings.Cut(key, " sid "); ok {
			fmt.Sscan(s, &sid)
			return ": " + rules[sid-1]
		}
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(union(suricata, sluice))) {
		x, y := suricata[key], sluice[key]
		all += max(len(x), len(y))
		if len(x) != len(y) {
			what := fmt.Sprintf("number of %s records", strings.Fields(key)[0])
			d[what] = append(d[what], fmt.Sprintf("%s: Suricata has %d, Sluice %d, %s%s", key, len(x), len(y), mode, ruleOf(key)))
		}
		for i := range min(len(x), len(y)) {
			fields := differingFields(x[i], y[i])
			if len(fields) == 0 {
				same++
			}
			for _, f := range fields {
				what := strings.Fields(key)[0] + " " + f
				d[what] = append(d[what], fmt.Sprintf("%s: Suricata %s, Sluice %s, %s%s", key, x[i][f], y[i][f], mode, ruleOf(key)))
			}
		}
	}
	return same, all
}

// log says how often each field differs, with some examples.
func (d differences) log(t *testing.T) {
	for _, what := range slices.Sorted(maps.Keys(d)) {
		list := d[what]
		t.Logf("%s differs %d times, such as\n\t%s", what, len(list), strings.Join(list[:min(examples, len(list))], "\n\t"))
	}
}

func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// notCompared are the fields that cannot be the same, and those that Sluice adds.
var notCompared = map[string]bool{
	"flow_id":        true, // made of a seed
	"flow.midstream": true, "drop.cause": true,
	"drop.icmp_id": true, "drop.icmp_seq": true, // Suricata's bytes are in the order of its machine
	// Who closed or was silent for too long is found by a thread of its own, sooner or later.
	"flow.reason": true,
}

func differingFields(a, b map[string]string) []string {
	var fields []string
	for _, f := range slices.Sorted(maps.Keys(union(a, b))) {
		if strings.HasPrefix(f, "packet") && a["pkt_src"] == `"stream (flow timeout)"` {
			continue // Suricata shows one that it has made up
		}
		if a[f] != b[f] && !notCompared[f] {
			fields = append(fields, f)
		}
	}
	return fields
}

// records are those of a file, flattened, by what they are about and in their order.
type records map[string][]map[string]string

func readRecords(t *testing.T, path string) records {
	t.Helper()
	all := records{}
	for _, v := range readLines[map[string]any](t, path) {
		r := map[string]string{}
		flatten(r, "", v)
		key := fmt.Sprintf("%s %s %s:%s > %s:%s", r["event_type"], r["proto"], r["src_ip"], r["src_port"], r["dest_ip"], r["dest_port"])
		switch r["event_type"] {
		case `"alert"`:
			key += " sid " + r["alert.signature_id"]
		case `"drop"`:
			key += " packet " + r["pcap_cnt"]
		case `"anomaly"`:
			key += " " + r["anomaly.event"]
		case `"flow"`, `"netflow"`:
			key += " type " + r["icmp_type"] + " spi " + r["spi"] + " vlan " + r["vlan"]
			delete(r, "timestamp")
		default:
			continue
		}
		all[key] = append(all[key], r)
	}
	return all
}

// flatten writes the members of nested objects with dotted names; arrays are one value.
func flatten(to map[string]string, prefix string, v any) {
	if object, ok := v.(map[string]any); ok {
		for k, member := range object {
			name := k
			if prefix != "" {
				name = prefix + "." + k
			}
			flatten(to, name, member)
		}
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	to[prefix] = string(text)
}

func suricataRecords(t *testing.T, binary, dir, mode string, rules []string, capture string) records {
	t.Helper()
	out := filepath.Join(dir, "suricata")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(out, "rules")
	writeFile(t, file, rules)
	args := []string{"-c", "testdata/eve.yaml", "-S", file, "-l", out, "-r", capture, "--runmode=single", "--init-errors-fatal"}
	if mode == "ips" {
		args = append(args, "--simulate-ips")
	}
	if output, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput(); err != nil {
		t.Fatalf("suricata: %v\n%s", err, output)
	}
	return readRecords(t, filepath.Join(out, "eve.json"))
}

func sluiceRecords(t *testing.T, dir, mode string, rules []string, capture string) records {
	t.Helper()
	file, eve := filepath.Join(dir, "rules"), filepath.Join(dir, "eve.json")
	writeFile(t, file, rules)
	if code, stderr := sluiceReplay(t, "--rules", file, "--mode", mode, "--community-id", "7", "--eve", eve, capture); code != 0 {
		t.Fatalf("sluice: exit code %d\n%s", code, stderr)
	}
	return readRecords(t, eve)
}

// recordRules writes rules of every kind, with what records show of a rule.
func recordRules(r *rand.Rand, mode string) []string {
	action := func() string {
		if mode == "ids" || r.IntN(4) > 0 {
			return "alert"
		}
		return pick(r, []string{"drop", "reject", "rejectdst", "rejectboth", "pass"})
	}
	details := func() string {
		var b strings.Builder
		for _, d := range []string{"metadata:by tests, tag a, tag b;", "classtype:trojan-activity;", "priority:2;", "rev:3;", "target:src_ip;", "target:dest_ip;", "gid:7;"} {
			if r.IntN(4) == 0 && !(strings.HasPrefix(d, "target") && strings.Contains(b.String(), "target")) {
				b.WriteString(d + " ")
			}
		}
		return b.String()
	}
	var rules []string
	for _, rule := range []string{
		"ip any any -> any any (",
		"tcp any any -> any any (flags:S; ",
		"tcp any any -> any any (flow:established,to_server; flowbits:set,seen; flowbits:set,traffic/id/shop; flowbits:set,traffic/label/web; ",
		"udp any any -> any any (flowint:tries,notset; flowint:tries,=,1; noalert; ",
		"udp any any -> any any (flowint:tries,+,1; ",
		`tcp any any -> any any (content:"alpha"; `,
		`tcp-pkt any any -> any any (content:"aa"; `,
		`udp any any -> any any (content:"Bravo"; `,
		"icmp any any -> any any (itype:8; ",
		"icmp any any -> any any (itype:3; ",
		"ip any any -> any any (ip_proto:50; ",
	} {
		if r.IntN(4) > 0 {
			rules = append(rules, fmt.Sprintf(`%s %s%smsg:"rule %d"; sid:%d;)`, action(), rule, details(), len(rules)+1, len(rules)+1))
		}
	}
	return rules
}

// recordTraffic makes flows of every protocol that has them, and packets without.
func recordTraffic(r *rand.Rand, flows int) [][]byte {
	t := &traffic{r: r}
	for i := range flows {
		client, server := fmt.Sprintf("10.0.%d.%d", r.IntN(3), 1+r.IntN(3)), fmt.Sprintf("192.0.2.%d", 1+r.IntN(3))
		from, to := fmt.Sprintf("%s:%d", client, 20000+i), fmt.Sprintf("%s:%d", server, 8000+r.IntN(3))
		if r.IntN(8) == 0 {
			client, server = "2001:db8::1", "2001:db8::2"
			from, to = fmt.Sprintf("[%s]:%d", client, 20000+i), fmt.Sprintf("[%s]:%d", server, 8000+r.IntN(3))
		}
		start := len(t.frames)
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			say := func() []byte { return append([]byte("@"), sentence(r)...) } // nothing that a protocol begins with
			t.connection(from, to, say(), say(), say())
		case 4:
			t.connection(from, to)
		case 5, 6:
			ask := packettest.UDP(from, to, sentence(r), packettest.TTL(uint8(60+r.IntN(8))))
			t.add(ask)
			switch r.IntN(3) {
			case 0:
				t.add(packettest.UDP(to, from, sentence(r)))
			case 1:
				if ask[0]>>4 == 4 {
					t.add(packettest.ICMP(server, client, pick(r, []uint8{3, 3, 11}), uint8(r.IntN(2)), 0, ask[:28]))
				}
			}
		case 7:
			for seq := range uint16(1 + r.IntN(2)) {
				t.add(packettest.ICMPEcho(client, server, false, uint16(i), seq, sentence(r)))
				t.add(packettest.ICMPEcho(server, client, true, uint16(i), seq, sentence(r)))
			}
		case 8:
			esp := binary.BigEndian.AppendUint64(nil, uint64(r.IntN(3))<<32|1)
			t.add(packettest.IP(client, server, packet.ProtoESP, append(esp, sentence(r)...)))
		case 9:
			sctp := func(src, dst uint16) []byte {
				b := binary.BigEndian.AppendUint16(nil, src)
				return append(binary.BigEndian.AppendUint16(b, dst), make([]byte, 12)...)
			}
			t.add(packettest.IP(client, server, packet.ProtoSCTP, sctp(uint16(i), 9)))
			t.add(packettest.IP(server, client, packet.ProtoSCTP, sctp(9, uint16(i))))
		case 10:
			t.add(packettest.IP(client, server, pick(r, []uint8{2, 89, 112, 200}), []byte("neither ports nor flows")))
		case 11:
			broken := packettest.UDP(from, to, sentence(r))
			switch r.IntN(3) {
			case 0:
				t.add(broken[:len(broken)-1])
			case 1:
				t.add(packettest.IP(client, server, packet.ProtoTCP, []byte("short")))
			case 2:
				t.add(packettest.ICMP(client, server, 250, 0, 0, nil))
			}
		}
		if vlan := uint16(1 + r.IntN(9)); r.IntN(6) == 0 {
			for j := start; j < len(t.frames); j++ {
				t.frames[j] = packettest.Ethernet(t.frames[j][14:], vlan)
			}
		}
	}
	return t.frames
}
