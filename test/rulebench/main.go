// Command rulebench runs 10,000 rules over a web mix, with sluice replay and, where it is
// installed, with Suricata 7 in its single-threaded mode on the same files. It prints time, packets
// a second, peak memory and alerts of both, and fails if the alerts differ. Then it says what
// 30,000 rules take to compile.
//
//	go run ./test/rulebench [-flows 20000] [-suricata suricata] [-keep DIR]
//
// Both write alerts only. Both read the capture once beforehand, so that it is cached.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/sluicefw/sluice/pktio/pcap"
)

func main() {
	flows := flag.Int("flows", 20_000, "flows in the capture; about 20 packets each")
	seed := flag.Uint64("seed", 1, "of the capture")
	suricata := flag.String("suricata", "suricata", "Suricata's program")
	sluice := flag.String("sluice", "bin/sluice", "Sluice's program")
	keep := flag.String("keep", "", "keep capture, rules and logs in this directory")
	generate := flag.String("generate", "", "only write a capture to this file")
	flag.Parse()
	if *generate != "" {
		if err := write(*generate, *flows, *seed); err != nil {
			fmt.Fprintln(os.Stderr, "rulebench:", err)
			os.Exit(1)
		}
		return
	}
	if err := errors.Join(run(*flows, *seed, *sluice, *suricata, *keep), compile()); err != nil {
		fmt.Fprintln(os.Stderr, "rulebench:", err)
		os.Exit(1)
	}
}

// configuration makes Suricata do what replay does: alerts only, all else its default.
const configuration = `%YAML 1.1
---
vars:
  address-groups: {HOME_NET: "any", EXTERNAL_NET: "any"}
  port-groups: {HTTP_PORTS: "80"}
outputs:
  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, types: [alert]}
app-layer:
  protocols:
    tls: {enabled: yes, detection-ports: {dp: 443}}
    http: {enabled: yes}
    dns: {tcp: {enabled: yes, detection-ports: {dp: 53}}, udp: {enabled: yes, detection-ports: {dp: 53}}}
stream: {memcap: 1gb, checksum-validation: no, reassembly: {memcap: 1gb, depth: 1mb}}
flow: {memcap: 512mb, hash-size: 65536, prealloc: 10000}
`

// outcome is what a run came to.
type outcome struct {
	took   time.Duration
	memory int64 // peak, in bytes
	alerts map[int]int
}

func run(flows int, seed uint64, sluice, suricata, dir string) error {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "rulebench"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	capture, ruleFile := filepath.Join(dir, "mix.pcap"), filepath.Join(dir, "bench.rules")
	// In a process of its own: the peak memory of a child counts what its parent had when it began.
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-generate", capture, "-flows", fmt.Sprint(flows), "-seed", fmt.Sprint(seed))
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making the capture: %w\n%s", err, output)
	}
	packets, size, err := measureCapture(capture)
	if err != nil {
		return err
	}
	if err := os.WriteFile(ruleFile, rules(), 0o644); err != nil {
		return err
	}
	none := filepath.Join(dir, "none.rules")
	if err := os.WriteFile(none, nil, 0o644); err != nil {
		return err
	}
	config := filepath.Join(dir, "suricata.yaml")
	if err := os.WriteFile(config, []byte(configuration), 0o644); err != nil {
		return err
	}
	fmt.Printf("%d packets, %.0f MB, %d flows; %d rules by SNI, %d by Host, %d by stream content, %d by address\n",
		packets, float64(size)/1e6, flows, sniDomains, hostDomains, streamContents, addresses)

	ours := func(rules string) (outcome, error) {
		log := filepath.Join(dir, "sluice.json")
		return measure(log, sluice, "replay", "--rules", rules, "--eve", log, "--eve-types", "alert", "--mode", "ids", "--checksums", "off", capture)
	}
	theirs := func(rules string) (outcome, error) {
		out := filepath.Join(dir, "suricata")
		os.RemoveAll(out)
		if err := os.Mkdir(out, 0o755); err != nil {
			return outcome{}, err
		}
		return measure(filepath.Join(out, "eve.json"), suricata, "-c", config, "-S", rules, "-l", out, "-r", capture, "--runmode", "single", "-k", "none")
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\trules\ttime\tpackets/s\tpeak memory\talerts\t")
	row := func(who, rules string, o outcome) {
		total := 0
		for _, n := range o.alerts {
			total += n
		}
		fmt.Fprintf(t, "%s\t%s\t%.2f s\t%.2f M\t%d MB\t%d\t\n", who, rules, o.took.Seconds(), float64(packets)/o.took.Seconds()/1e6, o.memory>>20, total)
	}
	if _, err := ours(none); err != nil { // reads the capture into the cache
		return err
	}
	bare, err := ours(none)
	if err != nil {
		return err
	}
	row("sluice", "none", bare)
	full, err := ours(ruleFile)
	if err != nil {
		return err
	}
	row("sluice", "10,000", full)
	defer t.Flush()
	if _, err := exec.LookPath(suricata); err != nil {
		fmt.Fprintln(t, "suricata\tis not installed: nothing to compare with\t\t\t\t\t")
		return nil
	}
	theirBare, err := theirs(none)
	if err != nil {
		return err
	}
	row("suricata", "none", theirBare)
	theirFull, err := theirs(ruleFile)
	if err != nil {
		return err
	}
	row("suricata", "10,000", theirFull)
	fmt.Fprintf(t, "ratio\t10,000\t%.1f x faster\t\t%.1f x less\t\t\n", theirFull.took.Seconds()/full.took.Seconds(), float64(theirFull.memory)/float64(full.memory))
	if !maps.Equal(full.alerts, theirFull.alerts) {
		return differing(full.alerts, theirFull.alerts)
	}
	return nil
}

// measureCapture counts the packets and bytes of a capture.
func measureCapture(path string) (packets int, size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	r, err := pcap.NewReader(file)
	if err != nil {
		return 0, 0, err
	}
	for rec := (pcap.Record{}); ; packets++ {
		if err := r.Next(&rec); errors.Is(err, io.EOF) {
			return packets, size, nil
		} else if err != nil {
			return 0, 0, err
		}
		size += int64(len(rec.Data))
	}
}

// differing names the first rules on which the two do not agree.
func differing(ours, theirs map[int]int) error {
	all := maps.Clone(ours)
	maps.Copy(all, theirs)
	errs := []error{errors.New("the alerts differ")}
	for _, sid := range slices.Sorted(maps.Keys(all)) {
		if ours[sid] != theirs[sid] && len(errs) < 10 {
			errs = append(errs, fmt.Errorf("sid %d: sluice %d, suricata %d", sid, ours[sid], theirs[sid]))
		}
	}
	return errors.Join(errs...)
}

// measure runs a command that logs alerts to a file.
func measure(log, name string, args ...string) (outcome, error) {
	os.Remove(log)
	cmd := exec.Command(name, args...)
	begin := time.Now()
	if output, err := cmd.CombinedOutput(); err != nil {
		return outcome{}, fmt.Errorf("%s: %w\n%s", name, err, output)
	}
	o := outcome{took: time.Since(begin), alerts: map[int]int{}}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		o.memory = usage.Maxrss << 10
	}
	file, err := os.Open(log)
	if errors.Is(err, os.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var record struct {
			Type  string `json:"event_type"`
			Alert struct {
				SID int `json:"signature_id"`
			} `json:"alert"`
		}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return o, fmt.Errorf("%s: %w", log, err)
		}
		if record.Type == "alert" {
			o.alerts[record.Alert.SID]++
		}
	}
	return o, nil
}
