package cli

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// formats are the values of -o.
var formats = []string{"table", "json", "ndjson", "csv"}

// outputHelp is the part of the help that scripts rely on.
const outputHelp = `Output (-o): the members and columns below are stable; new ones come at the end.
  table   for people
  json    one object: {"firewall_arn", "operations": [operation], "flows": [flow]}
  ndjson  one flow per line (flows capture: one operation)
  csv     the same with a header line
  flow       zone, operation_id, protocol, source_address, source_port,
             destination_address, destination_port, age_seconds, packets, bytes
  operation  zone, operation_id, type, status, message, requested_at, flows, error
zone is what --endpoint names, if it does. protocol is the name that --proto takes,
or a number. requested_at is RFC 3339, or "" when unknown. flows of an operation is
a count.`

// flowRow is a flow as scripts get it.
type flowRow struct {
	Zone        string `json:"zone"`
	OperationID string `json:"operation_id"`
	Protocol    string `json:"protocol"`
	Source      string `json:"source_address"`
	SourcePort  string `json:"source_port"`
	Dest        string `json:"destination_address"`
	DestPort    string `json:"destination_port"`
	Age         int64  `json:"age_seconds"`
	Packets     int64  `json:"packets"`
	Bytes       int64  `json:"bytes"`
}

var flowColumns = []string{"zone", "operation_id", "protocol", "source_address", "source_port",
	"destination_address", "destination_port", "age_seconds", "packets", "bytes"}

func (f *flowRow) record() []string {
	return []string{f.Zone, f.OperationID, f.Protocol, f.Source, f.SourcePort, f.Dest, f.DestPort,
		strconv.FormatInt(f.Age, 10), strconv.FormatInt(f.Packets, 10), strconv.FormatInt(f.Bytes, 10)}
}

// operationRow is an operation as scripts get it.
type operationRow struct {
	Zone        string `json:"zone"`
	ID          string `json:"operation_id"`
	Type        string `json:"type"`
	Status      string `json:"status"`
	Message     string `json:"message"`
	RequestedAt string `json:"requested_at"`
	Flows       int    `json:"flows"`
	Error       string `json:"error"`
}

var operationColumns = []string{"zone", "operation_id", "type", "status", "message", "requested_at", "flows", "error"}

func (o *operationRow) record() []string {
	return []string{o.Zone, o.ID, o.Type, o.Status, o.Message, o.RequestedAt, strconv.Itoa(o.Flows), o.Error}
}

func operationRows(ops []*operation) []operationRow {
	rows := make([]operationRow, 0, len(ops))
	for _, op := range ops {
		r := operationRow{Zone: op.zone, ID: op.id, Type: op.kind, Status: op.status, Message: op.message, Flows: len(op.flows)}
		if !op.requested.IsZero() {
			r.RequestedAt = op.requested.UTC().Format(time.RFC3339Nano)
		}
		if op.err != nil {
			r.Error = op.err.Error()
		}
		rows = append(rows, r)
	}
	return rows
}

func flowRows(ops []*operation) []flowRow {
	rows := []flowRow{} // never null in JSON
	for _, op := range ops {
		for _, f := range op.flows {
			rows = append(rows, flowRow{
				Zone: op.zone, OperationID: op.id, Protocol: protoName(wire.Val(f.Protocol)),
				Source: address(f.SourceAddress), SourcePort: wire.Val(f.SourcePort),
				Dest: address(f.DestinationAddress), DestPort: wire.Val(f.DestinationPort),
				Age: int64(wire.Val(f.Age)), Packets: int64(wire.Val(f.PacketCount)), Bytes: wire.Val(f.ByteCount),
			})
		}
	}
	return rows
}

func address(a *wire.Address) string {
	if a == nil {
		return ""
	}
	return wire.Val(a.AddressDefinition)
}

// sorts are the values of --sort. Numbers go from large to small, addresses up.
var sorts = map[string]func(a, b flowRow) int{
	"age":     func(a, b flowRow) int { return cmp.Compare(b.Age, a.Age) },
	"bytes":   func(a, b flowRow) int { return cmp.Compare(b.Bytes, a.Bytes) },
	"packets": func(a, b flowRow) int { return cmp.Compare(b.Packets, a.Packets) },
	"src":     func(a, b flowRow) int { return compareAddresses(a.Source, a.SourcePort, b.Source, b.SourcePort) },
	"dst":     func(a, b flowRow) int { return compareAddresses(a.Dest, a.DestPort, b.Dest, b.DestPort) },
}

func compareAddresses(a, aPort, b, bPort string) int {
	x, _ := netip.ParseAddr(a)
	y, _ := netip.ParseAddr(b)
	p, _ := strconv.Atoi(aPort)
	q, _ := strconv.Atoi(bPort)
	return cmp.Or(x.Compare(y), strings.Compare(a, b), cmp.Compare(p, q))
}

// writeFlows writes rows in the given format.
func writeFlows(env Env, format string, t *target, ops []*operation, rows []flowRow) error {
	switch format {
	case "json":
		return writeJSON(env.Stdout, t, ops, rows)
	case "ndjson":
		return writeLines(env.Stdout, rows)
	case "csv":
		return writeCSV(env.Stdout, flowColumns, rows, (*flowRow).record)
	}
	return flowTable(env, rows, len(t.zones) > 1)
}

func writeJSON(w io.Writer, t *target, ops []*operation, rows []flowRow) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		FirewallARN string         `json:"firewall_arn"`
		Operations  []operationRow `json:"operations"`
		Flows       []flowRow      `json:"flows"`
	}{t.arn, operationRows(ops), rows})
}

func writeLines[T any](w io.Writer, rows []T) error {
	enc := json.NewEncoder(w)
	for i := range rows {
		if err := enc.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func writeCSV[T any](w io.Writer, header []string, rows []T, record func(*T) []string) error {
	c := csv.NewWriter(w)
	c.Write(header) // the writer keeps its error
	for i := range rows {
		c.Write(record(&rows[i]))
	}
	c.Flush()
	return c.Error()
}

// flowTable writes rows for people. What does not fit the terminal is left out
// (packets, then the zone) or shortened (addresses), so that lines do not wrap on
// terminals of 44 columns and more.
func flowTable(env Env, rows []flowRow, zones bool) error {
	t := table{colour: env.colour(), columns: []column{
		{title: "SOURCE"}, {title: "DESTINATION"}, {title: "PROTO"}, {title: "AGE", right: true},
		{title: "PACKETS", right: true}, {title: "BYTES", right: true}, {title: "ZONE"},
	}}
	const packets, zone = 4, 6
	for _, f := range rows {
		t.rows = append(t.rows, []string{
			endpoint(f.Source, f.SourcePort, f.Protocol), endpoint(f.Dest, f.DestPort, f.Protocol), f.Protocol,
			humanAge(f.Age), strconv.FormatInt(f.Packets, 10), humanBytes(f.Bytes), f.Zone,
		})
	}
	if !zones {
		t.drop(zone)
	}
	if env.Width > 0 {
		if t.width() > env.Width {
			t.drop(packets)
		}
		if t.width() > env.Width && zones {
			t.drop(len(t.columns) - 1)
		}
		t.shorten(env.Width, 0, 1)
	}
	return t.write(env.Stdout)
}

// endpoint joins an address and a port, if the protocol has ports.
func endpoint(addr, port, proto string) string {
	if proto == "icmp" || proto == "icmpv6" || port == "" {
		return addr
	}
	if strings.Contains(addr, ":") {
		addr = "[" + addr + "]"
	}
	return addr + ":" + port
}

// humanAge is an age of two units at most: 45s, 12m3s, 5h2m, 3d4h.
func humanAge(seconds int64) string {
	switch s := seconds; {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
	}
}

// humanBytes uses powers of 1024 and three digits or so.
func humanBytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1023.95 && unit < 6 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTPE"[unit-1])
}

// plural is "1 flow", "2 flows".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func validFormat(f string) error {
	if !slices.Contains(formats, f) {
		return usagef("-o %s: choose one of %s", f, strings.Join(formats, ", "))
	}
	return nil
}
