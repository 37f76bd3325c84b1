package cli

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// pageSize is the most flows that a page of the API has.
const pageSize = 100

// liveHelp is the part of the help of top and stale that scripts rely on.
const liveHelp = `Output (-o): the members and columns below are stable; new ones come at the end.
  table   for people
  json    one object: {"firewall_arn", "total", "flows": [flow]}
  ndjson  one flow per line
  csv     the same with a header line
  flow    zone, protocol, source_address, source_port, destination_address,
          destination_port, age_seconds, idle_seconds, packets, bytes, state,
          application, name, stale_reason
total counts all flows that match. name is the TLS server name or HTTP host.`

// liveRow is a live flow as scripts get it.
type liveRow struct {
	Zone        string `json:"zone"`
	Protocol    string `json:"protocol"`
	Source      string `json:"source_address"`
	SourcePort  string `json:"source_port"`
	Dest        string `json:"destination_address"`
	DestPort    string `json:"destination_port"`
	Age         int64  `json:"age_seconds"`
	Idle        int64  `json:"idle_seconds"`
	Packets     int64  `json:"packets"`
	Bytes       int64  `json:"bytes"`
	State       string `json:"state"`
	Application string `json:"application"`
	Name        string `json:"name"`
	StaleReason string `json:"stale_reason"`
}

var liveColumns = []string{"zone", "protocol", "source_address", "source_port", "destination_address", "destination_port",
	"age_seconds", "idle_seconds", "packets", "bytes", "state", "application", "name", "stale_reason"}

func (f *liveRow) record() []string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return []string{f.Zone, f.Protocol, f.Source, f.SourcePort, f.Dest, f.DestPort,
		n(f.Age), n(f.Idle), n(f.Packets), n(f.Bytes), f.State, f.Application, f.Name, f.StaleReason}
}

func liveRows(zone string, flows []wire.LiveFlow) []liveRow {
	rows := make([]liveRow, 0, len(flows)) // never null in JSON
	for i := range flows {
		f := &flows[i]
		rows = append(rows, liveRow{
			Zone: zone, Protocol: protoName(wire.Val(f.Protocol)),
			Source: address(f.SourceAddress), SourcePort: wire.Val(f.SourcePort),
			Dest: address(f.DestinationAddress), DestPort: wire.Val(f.DestinationPort),
			Age: int64(wire.Val(f.Age)), Idle: int64(wire.Val(f.IdleSeconds)),
			Packets: int64(wire.Val(f.PacketCount)), Bytes: wire.Val(f.ByteCount), State: wire.Val(f.State),
			Application: wire.Val(f.ApplicationProtocol), Name: wire.Val(f.Name), StaleReason: wire.Val(f.StaleReason),
		})
	}
	return rows
}

// writeLive writes rows in the given format; total is how many there are in all.
func writeLive(env Env, format string, t *target, total int64, rows []liveRow) error {
	switch format {
	case "json":
		enc := json.NewEncoder(env.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			FirewallARN string    `json:"firewall_arn"`
			Total       int64     `json:"total"`
			Flows       []liveRow `json:"flows"`
		}{t.arn, total, rows})
	case "ndjson":
		return writeLines(env.Stdout, rows)
	case "csv":
		return writeCSV(env.Stdout, liveColumns, rows, (*liveRow).record)
	}
	return liveTable(env.Stdout, env.colour(), env.Width, rows, len(t.zones) > 1, "")
}

// maxName is the width of a host name in a table.
const maxName = 32

// liveTable writes rows for people, as flowTable does, in width columns if that
// is not 0. There is a reason column only if a flow has one. The column titled
// sorted is not left out.
func liveTable(w io.Writer, colour bool, width int, rows []liveRow, zones bool, sorted string) error {
	t := table{colour: colour, columns: []column{
		{title: "SOURCE"}, {title: "DESTINATION"}, {title: "PROTO"}, {title: "NAME"}, {title: "STATE"},
		{title: "AGE", right: true}, {title: "IDLE", right: true}, {title: "PACKETS", right: true}, {title: "BYTES", right: true},
		{title: "ZONE"}, {title: "STALE BY"},
	}}
	named, stale := false, false
	for i := range rows {
		f := &rows[i]
		named, stale = named || f.Name != "", stale || f.StaleReason != ""
		proto := f.Protocol
		if f.Application != "" {
			proto += "/" + f.Application
		}
		t.rows = append(t.rows, []string{
			endpoint(f.Source, f.SourcePort, f.Protocol), endpoint(f.Dest, f.DestPort, f.Protocol), proto, ellipsis(f.Name, maxName), f.State,
			humanAge(f.Age), humanAge(f.Idle), strconv.FormatInt(f.Packets, 10), humanBytes(f.Bytes), f.Zone, f.StaleReason,
		})
	}
	for _, c := range []struct {
		title string
		keep  bool
	}{{"NAME", named}, {"ZONE", zones}, {"STALE BY", stale}} {
		if !c.keep {
			t.dropTitled(c.title)
		}
	}
	if width > 0 {
		for _, title := range []string{"STATE", "IDLE", "PACKETS", "NAME", "ZONE"} {
			if t.width() > width && title != sorted {
				t.dropTitled(title)
			}
		}
		long := []int{0, 1}
		if stale {
			long = append(long, len(t.columns)-1)
		}
		t.shorten(width, long...)
	}
	return t.write(w)
}

// dropTitled removes the column of that title, if it is there.
func (t *table) dropTitled(title string) {
	if i := slices.IndexFunc(t.columns, func(c column) bool { return c.title == title }); i >= 0 {
		t.drop(i)
	}
}
