package oracle

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// streamRequired is how many of the conversations the engines must see alike, in percent.
const streamRequired = 97

// streamPort is the servers' port: no protocol is expected there.
const streamPort = 7777

// TestStreams plays conversations that are damaged in every way to both engines and compares
// what they say of each packet (stream events and drops), of each flow (states, counts, reason)
// and of the streams' content. SLUICE_SEED and SLUICE_ROUNDS are as for TestAgreement.
func TestStreams(t *testing.T) {
	suricata := needSuricata(t)
	_, r := seeded(t)
	same, all, shown := 0, 0, 0
	for range number("SLUICE_ROUNDS", 4) {
		for _, mode := range []string{"ids", "ips", "ids midstream", "ips midstream"} {
			var conversations []conversation
			for i := range 400 {
				conversations = append(conversations, randomConversation(r, i))
			}
			theirs, ours := playStreams(t, suricata, mode, conversations)
			for _, c := range conversations {
				all++
				if why := theirs[c.client].differs(ours[c.client]); why == "" {
					same++
				} else if shown++; shown <= 12 {
					t.Logf("%s: %s\n%s", mode, why, c.tell(theirs[c.client], ours[c.client]))
				}
			}
		}
	}
	share := 100 * float64(same) / float64(max(all, 1))
	t.Logf("%d of %d conversations seen alike: %.2f%%", same, all, share)
	if share < streamRequired {
		t.Errorf("agreement is below %d%%", streamRequired)
	}
}

// seen is what an engine made of a conversation.
type seen struct {
	packets map[int][]string // by place: events, and drops with their reason
	content []string         // rules about content that matched
	flows   []string
}

func (s *seen) differs(o *seen) string {
	for i := range 200 {
		if !slices.Equal(s.packets[i], o.packets[i]) {
			return fmt.Sprintf("packet %d", i)
		}
	}
	if !slices.Equal(s.content, o.content) {
		return "content"
	}
	if !slices.Equal(s.flows, o.flows) {
		return "flows"
	}
	return ""
}

// tell prints a conversation with what Suricata and Sluice said of it.
func (c *conversation) tell(theirs, ours *seen) string {
	var b strings.Builder
	for i, s := range c.segments {
		fmt.Fprintf(&b, "\t%-60v %v", s, theirs.packets[i])
		if !slices.Equal(theirs.packets[i], ours.packets[i]) {
			fmt.Fprintf(&b, ", Sluice: %v", ours.packets[i])
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\t%v %v\n", theirs.content, theirs.flows)
	if !slices.Equal(theirs.content, ours.content) || !slices.Equal(theirs.flows, ours.flows) {
		fmt.Fprintf(&b, "\tSluice: %v %v\n", ours.content, ours.flows)
	}
	return b.String()
}

// streamRules has a rule for every stream event, with its name as the message, and some about
// what is in the streams and what is not. Suricata repeats the event of a hole with every packet
// while it has not given up guessing the protocol: that is left out.
func streamRules() []string {
	var rules []string
	for e := packet.FirstStreamEvent; int(e) < packet.NumEvents; e++ {
		if e == packet.StreamReassemblySeqGap {
			continue
		}
		name := strings.TrimPrefix(e.String(), "stream.")
		rules = append(rules, fmt.Sprintf(`alert tcp any any -> any any (msg:"%s"; stream-event:%s; sid:%d;)`, name, name, 1000+int(e)))
	}
	for i, content := range []string{"cdefg", "jklmn", "rstuv", "xyza", "CDEFG", "JKLMN", "RSTUV", "XYZA", "123", "567", "890"} {
		rules = append(rules, fmt.Sprintf(`alert tcp-stream any any -> any any (msg:"content"; content:"%s"; sid:%d;)`, content, 1+i))
	}
	return rules
}

// playStreams runs both engines on the conversations, one after the other, and returns what
// they made of them by their clients.
func playStreams(t *testing.T, suricata, mode string, conversations []conversation) (theirs, ours map[string]*seen) {
	t.Helper()
	dir := t.TempDir()
	var frames [][]byte
	type place struct {
		client string
		at     int
	}
	places := map[int]place{}
	for _, c := range conversations {
		for i, s := range c.segments {
			frames = append(frames, packettest.Ethernet(c.packet(s)))
			places[len(frames)] = place{c.client, i}
		}
	}
	capture, rules := filepath.Join(dir, "streams.pcap"), filepath.Join(dir, "rules")
	writeCapture(t, capture, frames)
	writeFile(t, rules, streamRules())
	config, err := filepath.Abs("testdata/suricata.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mode, midstream := strings.CutSuffix(mode, " midstream")
	args := []string{"-c", config, "-S", rules, "-l", dir, "-r", capture, "--runmode=single", "--init-errors-fatal", "--set", fmt.Sprintf("stream.midstream=%v", midstream)}
	if mode == "ips" {
		args = append(args, "--simulate-ips")
	}
	if output, err := exec.CommandContext(t.Context(), suricata, args...).CombinedOutput(); err != nil {
		t.Fatalf("suricata: %v\n%s", err, output)
	}
	eve := filepath.Join(dir, "sluice.json")
	args = []string{"--rules", rules, "--mode", mode, "--eve", eve, fmt.Sprintf("--midstream=%v", midstream), capture}
	if code, stderr := sluiceReplay(t, args...); code != 0 {
		t.Fatalf("sluice: exit code %d\n%s", code, stderr)
	}
	read := func(path string) map[string]*seen {
		all := map[string]*seen{}
		for _, c := range conversations {
			all[c.client] = &seen{packets: map[int][]string{}}
		}
		for _, r := range readLines[streamRecord](t, path) {
			client := fmt.Sprintf("%s:%d", r.Src, r.SrcPort)
			if r.SrcPort == streamPort {
				client = fmt.Sprintf("%s:%d", r.Dst, r.DstPort)
			}
			s, p := all[client], places[r.Packet]
			switch {
			case r.Type == "alert" && r.Alert.Message == "content":
				s.content = append(s.content, strconv.Itoa(r.Alert.SID))
			case r.Type == "alert" && r.Packet > 0:
				all[p.client].packets[p.at] = append(all[p.client].packets[p.at], r.Alert.Message)
			case r.Type == "drop":
				all[p.client].packets[p.at] = append(all[p.client].packets[p.at], "drop: "+r.Drop.Reason)
			case r.Type == "flow":
				s.flows = append(s.flows, fmt.Sprintf("%v %s/%s/%s %d:%d packets %d:%d bytes", r.SrcPort == streamPort, r.TCP.State, r.Flow.State, r.Flow.Reason,
					r.Flow.PacketsToServer, r.Flow.PacketsToClient, r.Flow.BytesToServer, r.Flow.BytesToClient))
			}
		}
		for _, s := range all {
			slices.Sort(s.content)
			s.content = slices.Compact(s.content)
			slices.Sort(s.flows)
			for i := range maps.Keys(s.packets) {
				slices.Sort(s.packets[i])
				s.packets[i] = slices.Compact(s.packets[i])
			}
		}
		return all
	}
	return read(filepath.Join(dir, "eve.json")), read(eve)
}

// streamRecord is what TestStreams reads of a record.
type streamRecord struct {
	Type    string `json:"event_type"`
	Packet  int    `json:"pcap_cnt"`
	Src     string `json:"src_ip"`
	Dst     string `json:"dest_ip"`
	SrcPort int    `json:"src_port"`
	DstPort int    `json:"dest_port"`
	Alert   struct {
		SID     int    `json:"signature_id"`
		Message string `json:"signature"`
	} `json:"alert"`
	Drop struct {
		Reason string `json:"reason"`
	} `json:"drop"`
	Flow struct {
		State           string `json:"state"`
		Reason          string `json:"reason"`
		PacketsToServer int    `json:"pkts_toserver"`
		PacketsToClient int    `json:"pkts_toclient"`
		BytesToServer   int    `json:"bytes_toserver"`
		BytesToClient   int    `json:"bytes_toclient"`
	} `json:"flow"`
	TCP struct {
		State string `json:"state"`
	} `json:"tcp"`
}
