package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/pktio/pcap"
)

// replayCommand holds the flags of replay.
type replayCommand struct {
	env         Env
	rules       string
	policy      string
	eve         string
	eveTypes    []string
	communityID int
	mode        string
	midstream   bool
	exception   string
	vars        []string
	databases   databases
	dataDir     string
	beyondAWS   bool
	checksums   string
	fragments   string
	streams     string
	out         string
	expect      string
	writeExpect string
	format      string
}

// NewReplay returns the replay command: it runs a capture through the engine
// that serves live traffic, and says what becomes of each packet.
func NewReplay(env Env) *cobra.Command {
	r := &replayCommand{env: env}
	c := &cobra.Command{
		Use:   "replay [flags] PCAP",
		Short: "Run a capture through rules or a firewall policy",
		Long: `Replay runs a capture (pcap or pcapng, - for standard input) through rules or a
firewall policy, as fast as it can be read and by the capture's own clock, and
prints what became of its packets and flows. It needs no server, no root and no
network.

--rules takes a file of Suricata rules. They are ordered as Suricata orders them:
pass, drop, reject, alert. A rule that this version cannot run as written is an
error. Of rules with one sid the newest revision counts; what is left out is said.

--policy takes a directory with the documents of AWS Network Firewall:
  policy.json  a FirewallPolicy, or anything that has one as its FirewallPolicy
               member: a CreateFirewallPolicy request, a DescribeFirewallPolicy answer
  *.json       rule groups: CreateRuleGroup requests or DescribeRuleGroup answers
The policy refers to groups by ARN; a request, which has no ARN yet, is found by
the name at the ARN's end and by its type. HOME_NET, where the documents do not set
it, is what --var HOME_NET says, or else all private networks.

--mode ids only looks on: nothing is dropped. --mode ips carries verdicts out, so
what follows a dropped packet is judged without it. It is the default of --policy.

TCP connections whose start is not in the capture meet --stream-exception-policy;
by default they are dropped. In ids mode they are always inspected, without a
connection's context. --midstream follows them from where they are.

--eve writes records as Suricata does, with every detail: alert, anomaly, flow,
netflow, those of application protocols, and drop in ips mode.
Flows that are still alive at the end of the capture are written then, and stats.

--write-expect writes the verdicts as JSON. --expect compares with such a file, and
replay fails if they differ. Members that you delete from the file are not compared.

Data sets that rules save are written at the end of the capture, below --data-dir;
those of state are read from there first. Lists that rules load are found as they are
named, or in the folder of the rule file.

A capture that is damaged or cut off is replayed up to the damage, and a warning
says where that is; verdicts up to there hold.

Exit codes: 0 done; 1 error, or verdicts that differ from --expect; 2 wrong usage.`,
		Example: `  sluice replay --rules my.rules --mode ips --eve eve.json traffic.pcap
  sluice replay --policy staging/ --write-expect staging/verdicts.json traffic.pcap
  sluice replay --policy staging/ --expect staging/verdicts.json traffic.pcap`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("replay takes one capture, got %d arguments", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return r.run(c.Context(), args[0]) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&r.rules, "rules", "", "file of Suricata rules")
	fl.StringVar(&r.policy, "policy", "", "directory of a firewall policy and its rule groups, instead of --rules")
	fl.StringVar(&r.eve, "eve", "", "write EVE JSON records to this file")
	fl.StringSliceVar(&r.eveTypes, "eve-types", nil, "write records of these types only, such as alert,flow")
	fl.IntVar(&r.communityID, "community-id", -1, "write the community id of flows, made with this seed, 0 to 65535")
	fl.StringVar(&r.mode, "mode", "", "ids (default of --rules) or ips (default of --policy)")
	fl.BoolVar(&r.midstream, "midstream", false, "follow TCP connections whose start is missing")
	fl.StringVar(&r.exception, "stream-exception-policy", "", "drop, continue, reject or ignore: what other TCP connections without start meet")
	fl.StringArrayVar(&r.vars, "var", nil, "NAME=VALUE: an address or port variable of the rules; repeatable")
	r.databases.flags(c)
	dataDirFlag(c, &r.dataDir)
	fl.BoolVar(&r.beyondAWS, "beyond-aws", false, "with --policy: rule groups may use dataset, datarep, iprep and filemd5, as in a gateway with the key rules.beyond_aws")
	fl.StringVar(&r.checksums, "checksums", "on", "on: what has a wrong checksum is no part of a stream, and invalid for a policy, unless more than a tenth of the first 1000 packets have one; off: they are not looked at")
	fl.StringVar(&r.streams, "streams", stream.Windows.String(), "the system that overlapping segments are put together as in ids mode, and whose resets count: windows, bsd, linux, solaris, macos, first, last or another of Suricata's host-os-policy")
	fl.StringVar(&r.fragments, "fragments", defrag.Default.String(), "the kind of host that overlapping fragments are put together as: windows, linux, bsd, bsd-right, solaris, first, last; default: windows for IPv4, bsd for IPv6")
	fl.StringVar(&r.out, "out", "", "write the packets that passed to this capture")
	fl.StringVar(&r.expect, "expect", "", "compare the verdicts with this file")
	fl.StringVar(&r.writeExpect, "write-expect", "", "write the verdicts to this file")
	fl.StringVarP(&r.format, "output", "o", "table", "table or json")
	return c
}

// check finds what is wrong with the flags before anything is read.
func (r *replayCommand) check() error {
	oneOf := func(flag, value string, allowed ...string) error {
		for _, a := range allowed {
			if value == a {
				return nil
			}
		}
		return usagef("%s %s: choose one of %s", flag, value, strings.Join(allowed, ", "))
	}
	if (r.rules == "") == (r.policy == "") {
		return usagef("give either --rules or --policy")
	}
	if r.mode == "" {
		r.mode = "ids"
		if r.policy != "" {
			r.mode = "ips"
		}
	}
	if err := errors.Join(oneOf("--mode", r.mode, "ids", "ips"), oneOf("--checksums", r.checksums, "on", "off"), oneOf("-o", r.format, "table", "json")); err != nil {
		return err
	}
	if _, err := stream.ParsePolicy(r.streams); err != nil {
		return usagef("--streams: %v", err)
	}
	if _, err := defrag.ParsePolicy(r.fragments); err != nil {
		return usagef("--fragments: %v", err)
	}
	if r.communityID > 0xffff {
		return usagef("--community-id %d: write a seed of 0 to 65535", r.communityID)
	}
	if r.exception != "" {
		return oneOf("--stream-exception-policy", r.exception, "drop", "continue", "reject", "ignore")
	}
	return nil
}

func (r *replayCommand) run(ctx context.Context, capture string) error {
	if err := r.check(); err != nil {
		return err
	}
	program, err := r.program()
	if err != nil {
		return err
	}
	var expected map[string]any
	if r.expect != "" {
		if expected, err = readExpected(r.expect); err != nil {
			return err
		}
	}
	got, err := r.replay(ctx, program, capture)
	if err != nil {
		return err
	}
	if err := r.report(got); err != nil {
		return fmt.Errorf("write the verdicts: %w", err)
	}
	if r.writeExpect != "" {
		if err := got.write(r.writeExpect); err != nil {
			return err
		}
	}
	if expected != nil {
		lines, err := differences(expected, got)
		if err != nil {
			return err
		}
		if len(lines) > 0 {
			for _, line := range lines {
				fmt.Fprintln(r.env.Stderr, printable(line))
			}
			return fmt.Errorf("the verdicts differ from %s in %d places; write them anew with --write-expect if they are right", r.expect, len(lines))
		}
	}
	return nil
}

// replay runs the capture through the engine.
func (r *replayCommand) replay(ctx context.Context, program *detect.Program, capture string) (_ *verdicts, err error) {
	var opt pcap.Options
	if r.out != "" {
		file, err := os.Create(r.out)
		if err != nil {
			return nil, fmt.Errorf("create the capture of what passed: %w", err)
		}
		defer file.Close()
		opt.Output = pcap.NewWriter(file)
	}
	driver, err := pcap.Open(capture, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	defer context.AfterFunc(ctx, func() { driver.Close() })()

	records := &replayRecords{got: newVerdicts(), types: r.eveTypes, aws: r.policy != ""}
	if r.eve != "" {
		file, err := os.Create(r.eve)
		if err != nil {
			return nil, fmt.Errorf("create the EVE file: %w", err)
		}
		defer file.Close()
		records.sink = eve.NewDirect(file)
	}

	fragments, err := defrag.ParsePolicy(r.fragments)
	if err != nil {
		return nil, err
	}
	streams, err := stream.ParsePolicy(r.streams)
	if err != nil {
		return nil, err
	}
	detail := eve.Full
	detail.CommunityID, detail.Seed = r.communityID >= 0, uint16(r.communityID)
	e := engine.New(engine.Options{
		Firewall: "replay", Inline: r.mode == "ips", VerifyChecksums: r.checksums == "on", GuessOffload: true, Tunnels: true, Fragments: defrag.Options{Policy: fragments},
		Streams:     stream.Options{Policies: stream.Policies{Default: streams}},
		PacketClock: true, CountPackets: true, CountFrames: true, PacketSource: "wire/pcap", Detail: detail,
		Counters: engine.NewCounters(), Latency: engine.NewLatency(),
		NewRecords: func() engine.Records { return records }, Wants: records,
	})
	if err := e.SetProgram(ctx, program); err != nil {
		return nil, err
	}
	m := &meter{Queue: driver.Queues()[0]}
	e.Attach([]pktio.Queue{m})
	e.Wait()
	if records.writes("stats") {
		records.log(eve.AppendStats(records.buf[:0], &eve.Stats{Time: m.last, Uptime: (m.last - m.first) / int64(time.Second), Counters: e.Stats()}))
	}
	if records.sink != nil {
		if err := records.sink.Flush(ctx); err != nil {
			return nil, fmt.Errorf("write the EVE file: %w", err)
		}
	}
	if err := errors.Join(m.err, ctx.Err()); err != nil {
		return nil, err
	}
	if _, err := program.Rules.SaveSets(true); err != nil {
		return nil, err
	}
	if damage := driver.Damage(); damage != nil {
		fmt.Fprintf(r.env.Stderr, "sluice: warning: %s: %v\n", printable(capture), damage)
	}
	warnOfChecksums(r.env.Stderr, capture, m.passed+m.dropped, e.Stats())
	got := records.got
	got.Mode, got.Packets, got.Passed, got.Dropped = r.mode, m.passed+m.dropped, m.passed, m.dropped
	got.finish(program.Rules)
	return got, nil
}

// warnOfChecksums says why rules may have seen little of a capture that was taken where its packets were sent.
func warnOfChecksums(w io.Writer, capture string, packets uint64, stats []eve.Counter) {
	i := slices.IndexFunc(stats, func(c eve.Counter) bool { return c.Name == "tcp.invalid_checksum" })
	if wrong := stats[i].Value; wrong > packets/10 {
		fmt.Fprintf(w, "sluice: warning: %s: %d of %d packets have a wrong TCP checksum and are no part of a connection; if it was taken on a host that sent them, give --checksums off\n", printable(capture), wrong, packets)
	}
}

// meter counts verdicts on their way to the driver, and keeps the first error,
// after which a replay is not worth much.
type meter struct {
	pktio.Queue
	passed, dropped uint64
	first, last     int64 // times of packets, nanoseconds since 1970
	err             error
}

func (m *meter) Verdicts(batch []pktio.Packet) error {
	for i := range batch {
		if batch[i].Verdict == pktio.Accept {
			m.passed++
		} else {
			m.dropped++
		}
	}
	err := m.Queue.Verdicts(batch)
	m.keep(err)
	return err
}

func (m *meter) ReadBatch(batch []pktio.Packet, wait time.Duration) (int, error) {
	n, err := m.Queue.ReadBatch(batch, wait)
	for i := range batch[:n] {
		if m.first == 0 {
			m.first = batch[i].Time
		}
		m.last = max(m.last, batch[i].Time)
	}
	if !errors.Is(err, pktio.ErrClosed) {
		m.keep(err)
	}
	return n, err
}

func (m *meter) keep(err error) {
	if m.err == nil {
		m.err = err
	}
}
