package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicefw/sluice/cli"
	"github.com/sluicefw/sluice/internal/hosts"
)

// guide starts everything, says what to try, and shows what happens until ctx ends.
func guide(ctx context.Context, env cli.Env, out *printer, o options) (err error) {
	starting, cancel := context.WithTimeout(ctx, 2*stepTime)
	defer cancel()
	w, err := start(starting, o)
	if err != nil {
		return err
	}
	defer func() {
		cerr := w.close()
		if err == nil {
			err = cerr
		}
		if err == nil {
			out.line("stopped; nothing is left behind")
		}
	}()
	if err := w.createFirewall(starting); err != nil {
		return err
	}
	if err := w.startTraffic(starting, o.connections); err != nil {
		return err
	}
	if err := w.allLive(starting); err != nil {
		return err
	}
	if err := printTour(out, w, o); err != nil {
		return err
	}
	return watch(ctx, env, out, w)
}

// tour is the guide. A line that begins with "$ " is a command to copy, one with
// "# " says why; both fit a terminal of 80 columns.
var tour = template.Must(template.New("tour").Parse(`
# Sluice demo
{{.Clients}} clients talk to {{.Servers}} servers through firewall "{{.Firewall}}", all in this process.
The API is at {{.URL}} and takes any key. In a second terminal
(aws and boto3 are there after "make venv"):

$ export PATH={{.Path}}:$PATH
$ export AWS_ENDPOINT_URL={{.URL}} AWS_DEFAULT_REGION={{.Region}}
$ export AWS_ACCESS_KEY_ID={{.Key}} AWS_SECRET_ACCESS_KEY={{.Key}} AWS_PAGER=
$ NET={{.Blocked}} ZONE={{.Zone}} GROUP={{.Group}}
$ FW={{.ARN}}

# 1  Who talks to {{.Blocked}} right now?
$ sluice flows list --dst $NET --sort bytes --limit 10

# 2  The same with the AWS CLI: capture, ask how it went, list the results.
$ OP=$(aws network-firewall start-flow-capture --firewall-arn $FW \
$   --availability-zone $ZONE --query FlowOperationId --output text \
$   --flow-filters DestinationAddress={AddressDefinition=$NET})
$ aws network-firewall describe-flow-operation --firewall-arn $FW \
$   --flow-operation-id $OP
$ aws network-firewall list-flow-operation-results --firewall-arn $FW \
$   --flow-operation-id $OP --max-items 2

# 3  Block that network. As on AWS, only new connections are refused; old
#    ones keep the rules that admitted them. List them again to see.
$ TOKEN=$(aws network-firewall describe-rule-group --rule-group-name $GROUP \
$   --type STATEFUL --query UpdateToken --output text)
$ aws network-firewall update-rule-group --rule-group-name $GROUP \
$   --type STATEFUL --update-token $TOKEN --rules \
$   "reject tcp any any -> $NET any (msg:\"off limits\"; sid:2;)"

# 4  Cut them: with its next packet, each connection is reset (see below).
$ sluice flows flush --dst $NET --yes

# 5  The same call from Python; it flushes what has tried to come back.
$ python3 -c 'import boto3; print(boto3.client("network-firewall")
$   .start_flow_flush(FirewallArn="'$FW'", AvailabilityZone="'$ZONE'",
$   FlowFilters=[{"DestinationAddress": {"AddressDefinition": "'$NET'"}}]))'

Ctrl-C ends it. "sluice demo --script" plays and checks all of this by itself.
`))

// commands is where the tour's commands are: this program, and the Python
// environment that "make venv" puts beside its folder.
func commands() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	bin := filepath.Dir(self)
	return bin + ":" + filepath.Join(filepath.Dir(bin), ".venv", "bin"), nil
}

func printTour(out *printer, w *world, o options) error {
	path, err := commands()
	if err != nil {
		return err
	}
	var text strings.Builder
	err = tour.Execute(&text, map[string]any{
		"Clients": o.connections, "Servers": len(hosts.Servers()), "Firewall": firewallName, "URL": w.box.URL(),
		"Region": region, "Zone": zone, "Key": accessKey, "ARN": w.firewallARN, "Blocked": blocked, "Group": groupName, "Path": path,
	})
	if err != nil {
		return fmt.Errorf("write the tour: %w", err)
	}
	for line := range strings.Lines(text.String()) {
		line = strings.TrimSuffix(line, "\n")
		if why, ok := strings.CutPrefix(line, "# "); ok {
			line = out.in(bold, why)
		} else if command, ok := strings.CutPrefix(line, "$ "); ok {
			line = "  " + out.in(cyan, command)
		}
		out.line("%s", line)
	}
	out.line("")
	return nil
}

// watch shows the state once a second until ctx ends; without a terminal it
// only waits.
func watch(ctx context.Context, env cli.Env, out *printer, w *world) error {
	if !out.tty {
		<-ctx.Done()
		return nil
	}
	registry := prometheus.NewRegistry()
	for _, c := range w.box.Node().Collectors() {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("collect metrics: %w", err)
		}
	}
	for {
		now, err := readTotals(registry)
		if err != nil {
			return err
		}
		s := w.hosts.Snapshot()
		resets := 0 // a client is in this state for a moment only, so all are counted
		for i := range s {
			resets += s[i].Times[hosts.Reset]
		}
		line := fmt.Sprintf("flows %s  packets %s  dropped %s │ live %d  refused %d  resets %d",
			thousands(now.flows), thousands(now.packets), thousands(now.dropped), s.Count(hosts.Live), s.Count(hosts.Refused), resets)
		if env.Width > 0 {
			line = truncate(line, env.Width-1)
		}
		// Erase to the end of the line (ECMA-48 EL).
		fmt.Fprintf(out.w, "\r\x1b[K%s", out.in(bold, line))
		if env.Sleep(ctx, time.Second) != nil {
			fmt.Fprint(out.w, "\r\x1b[K")
			return nil
		}
	}
}

// truncate cuts text to width columns.
func truncate(text string, width int) string {
	if r := []rune(text); len(r) > width {
		return string(r[:max(width, 0)])
	}
	return text
}

type totals struct{ flows, packets, dropped uint64 }

// readTotals adds up the metrics that the status line shows.
func readTotals(g prometheus.Gatherer) (t totals, err error) {
	families, err := g.Gather()
	if err != nil {
		return t, fmt.Errorf("collect metrics: %w", err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			switch f.GetName() {
			case "sluice_flows":
				t.flows += uint64(m.GetGauge().GetValue())
			case "sluice_stateless_received_packets_total":
				t.packets += uint64(m.GetCounter().GetValue())
			case "sluice_dropped_packets_total":
				t.dropped += uint64(m.GetCounter().GetValue())
			}
		}
	}
	return t, nil
}
