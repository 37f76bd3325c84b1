package eve

import (
	"cmp"

	"github.com/sluicefw/sluice/engine/packet"
)

// Reasons why a flow ended: Suricata's, and AWS's ReasonFlushed.
const (
	ReasonTimeout  = "timeout"
	ReasonForced   = "forced"
	ReasonShutdown = "shutdown"
	ReasonUnknown  = "unknown"
	ReasonFlushed  = "flushed"
)

// States of a flow when it ended.
const (
	StateNew         = "new"
	StateEstablished = "established"
	StateClosed      = "closed"
	StateBypassed    = "bypassed"
)

// HalfFlow is one direction of a Flow.
type HalfFlow struct {
	Packets, Bytes uint64
	MinTTL, MaxTTL uint8
	TCPFlags       uint8 // of all packets together
	Gap            bool  // bytes of a TCP stream never came
	ICMPType       uint8 // of the reply; the request's are in Tuple
	ICMPCode       uint8
}

// Flow is a flow that has ended. Time in Tuple is when the record is written;
// Src is the initiator.
type Flow struct {
	Tuple
	App AppProtos
	SPI uint32 // of ESP

	ToServer, ToClient HalfFlow

	Start, End  int64  // of the first and last packet, nanoseconds since 1970
	State       string // StateNew, ...
	Reason      string // ReasonTimeout, ...
	OperationID string // of the flush, when Reason is ReasonFlushed
	Alerted     bool
	Action      string // what rules decided for the flow, "pass" or "drop"; empty: nothing
	Emergency   bool   // evicted early because the table was full
	TxCount     uint64 // application transactions
	TCPState    string // "syn_sent", "established", ...; empty: never tracked

	Midstream bool // the flow was picked up without its start
}

// age is the time between first and last packet in whole seconds, of the
// clock's seconds, as Suricata counts it.
func (f *Flow) age() int64 { return f.End/1e9 - f.Start/1e9 }

// AppendFlow appends f as an EVE flow event: one record for both directions.
func AppendFlow(dst []byte, f *Flow) []byte {
	o := start(dst)
	o.tuple(&f.Tuple, "flow")
	if isICMP(f.Proto) && f.ToClient.Packets > 0 {
		o.uint("response_icmp_type", uint64(f.ToClient.ICMPType))
		o.uint("response_icmp_code", uint64(f.ToClient.ICMPCode))
	}
	o.spi(f)
	o.appProtos(&f.App)
	o.open("flow")
	o.uint("pkts_toserver", f.ToServer.Packets)
	o.uint("pkts_toclient", f.ToClient.Packets)
	o.uint("bytes_toserver", f.ToServer.Bytes)
	o.uint("bytes_toclient", f.ToClient.Bytes)
	o.time("start", f.Start)
	o.time("end", f.End)
	o.int("age", f.age())
	if f.Emergency {
		o.bool("emergency", true)
	}
	o.flowEnd(f)
	o.optStr("action", f.Action)
	o.close()
	o.common(&f.Tuple)
	if f.Proto == packet.ProtoTCP {
		all := f.ToServer.TCPFlags | f.ToClient.TCPFlags
		o.open("tcp")
		o.hexByte("tcp_flags", all)
		o.hexByte("tcp_flags_ts", f.ToServer.TCPFlags)
		o.hexByte("tcp_flags_tc", f.ToClient.TCPFlags)
		o.tcpFlags(all)
		if f.TCPState != "" {
			o.str("state", f.TCPState)
			if f.ToServer.Gap {
				o.bool("ts_gap", true)
			}
			if f.ToClient.Gap {
				o.bool("tc_gap", true)
			}
			o.uint("ts_max_regions", 1) // of memory that a stream was kept in at once: Sluice has one for each
			o.uint("tc_max_regions", 1)
		}
		o.close()
	}
	return o.end()
}

// flowEnd writes how the flow ended. "last_state" beside "flushed" is AWS's
// way; "flow_operation_id" and "midstream" are Sluice's.
func (o *object) flowEnd(f *Flow) {
	o.str("state", f.State)
	if f.Reason == ReasonFlushed {
		o.str("last_state", f.lastState())
	}
	o.str("reason", f.Reason)
	o.bool("alerted", f.Alerted)
	o.optStr("flow_operation_id", f.OperationID)
	if f.Midstream {
		o.bool("midstream", true)
	}
}

// lastState is State in the capitals that AWS uses for last_state.
func (f *Flow) lastState() string {
	switch f.State {
	case StateNew:
		return "NEW"
	case StateEstablished:
		return "ESTABLISHED"
	case StateClosed:
		return "CLOSED"
	}
	return "UNKNOWN"
}

// AppendNetflow appends one direction of f as Suricata's netflow event. As
// Suricata, callers write the direction to the client only when it has packets.
func AppendNetflow(dst []byte, f *Flow, dir packet.Dir) []byte {
	return appendNetflow(dst, f, dir, false, "unknown")
}

// AppendAWSNetflow appends one direction of f as a record of AWS Network
// Firewall's flow log: Suricata's netflow event, with the members about the
// flow's end in the record from client to server.
func AppendAWSNetflow(dst []byte, f *Flow, dir packet.Dir) []byte {
	return appendNetflow(dst, f, dir, dir == packet.ToServer, "")
}

func appendNetflow(dst []byte, f *Flow, dir packet.Dir, withEnd bool, unknown string) []byte {
	t, half := f.Tuple, &f.ToServer
	app := cmp.Or(f.App.ToServer, f.App.Proto, unknown)
	if dir == packet.ToClient {
		half = &f.ToClient
		app = cmp.Or(f.App.ToClient, f.App.Proto, unknown)
		t.Src, t.Dst, t.SrcPort, t.DstPort = t.Dst, t.Src, t.DstPort, t.SrcPort
		t.ICMPType, t.ICMPCode = half.ICMPType, half.ICMPCode
	}
	o := start(dst)
	o.tuple(&t, "netflow")
	o.spi(f)
	o.optStr("app_proto", app)
	o.open("netflow")
	o.uint("pkts", half.Packets)
	o.uint("bytes", half.Bytes)
	o.time("start", f.Start)
	o.time("end", f.End)
	o.int("age", f.age())
	if half.Packets > 0 {
		o.uint("min_ttl", uint64(half.MinTTL))
		o.uint("max_ttl", uint64(half.MaxTTL))
	}
	if withEnd {
		o.flowEnd(f)
	}
	if f.TxCount > 0 {
		o.uint("tx_cnt", f.TxCount)
	}
	o.close()
	if f.Proto == packet.ProtoTCP {
		o.open("tcp")
		o.hexByte("tcp_flags", half.TCPFlags)
		o.tcpFlags(half.TCPFlags)
		o.close()
	}
	o.common(&t)
	return o.end()
}

func (o *object) spi(f *Flow) {
	if f.Proto == packet.ProtoESP {
		o.uint("spi", uint64(f.SPI))
	}
}

// tcpFlags writes a true member for each flag that is set.
func (o *object) tcpFlags(flags uint8) {
	for _, f := range tcpFlagNames {
		if flags&f.bit != 0 {
			o.bool(f.name, true)
		}
	}
}

var tcpFlagNames = [...]struct {
	bit  uint8
	name string
}{
	{packet.SYN, "syn"}, {packet.FIN, "fin"}, {packet.RST, "rst"}, {packet.PSH, "psh"},
	{packet.ACK, "ack"}, {packet.URG, "urg"}, {packet.ECE, "ecn"}, {packet.CWR, "cwr"},
}
