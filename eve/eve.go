// Package eve writes EVE JSON records, the log format of Suricata 7, and the
// envelope that AWS Network Firewall puts around them.
//
// Records are plain structs which the engine fills and reuses. The Append
// functions encode one record as one JSON object without a newline, in
// Suricata's field order, and do not allocate while dst has room. [Logger] and
// [Direct] carry encoded lines to a file.
//
// Strings of a record are borrowed during the call and may hold any bytes.
// Optional members are left out when they have their zero value, as Suricata
// does; the field comments name the exceptions.
package eve

import (
	"strconv"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Tuple is what every record about packets starts with. Src is the sender of
// the packet, or the initiator when the record is about a whole flow.
type Tuple struct {
	Time             int64  // nanoseconds since 1970
	FlowID           uint64 // 0: the packet belongs to no flow. Below 2^53, so that readers with float64 numbers keep it exact
	Src, Dst         packet.Addr
	SrcPort, DstPort uint16 // written for TCP, UDP and SCTP only
	Proto            uint8  // IANA number
	ICMPType         uint8
	ICMPCode         uint8
	VLAN             [packet.MaxVLANs]uint16 // 12-bit ids, outer first
	VLANs            uint8                   // how many of VLAN are set
	PcapCnt          uint64                  // number of the packet in its capture from 1; 0 outside of captures
	Interface        string                  // where the packet came in
	PktSrc           string                  // "wire/pcap", "geneve encapsulation", ...
}

// FlowCounters is the state of a flow at the moment of an alert.
type FlowCounters struct {
	PktsToServer, PktsToClient   uint64
	BytesToServer, BytesToClient uint64
	Start                        int64 // nanoseconds since 1970
}

// Alert is one match of a rule that is to be logged.
type Alert struct {
	Tuple
	AppProto string
	Dir      packet.Dir
	Action   string // "allowed" or "blocked"
	Verdict  string // what became of the packet: "pass", "drop", "reject", "alert"

	RejectTarget string // who was sent a reset or unreachable: "to_client", "to_server", "both"; empty: nobody

	GID, SID, Rev uint32
	Signature     string
	Category      string
	Severity      int
	Metadata      []Metadata // of the rule, equal keys side by side

	TLSInspected bool
	Tx           applayer.Tx // that it matched in, or that is under way; nil: none
	Flow         *FlowCounters

	ResourceARN string // of the rule group, or of the policy for a default action; see Envelope
}

// Metadata is one entry of a rule's metadata keyword.
type Metadata struct{ Key, Value string }

// AppendAlert appends a as an EVE alert event.
func AppendAlert(dst []byte, a *Alert) []byte {
	o := appendHeader(dst, &a.Tuple, "alert")
	if a.Tx != nil {
		o.uint("tx_id", a.Tx.State().ID)
	}
	o.open("alert")
	o.str("action", a.Action)
	o.uint("gid", uint64(a.GID))
	o.uint("signature_id", uint64(a.SID))
	o.uint("rev", uint64(a.Rev))
	o.str("signature", a.Signature)
	o.str("category", a.Category)
	o.int("severity", int64(a.Severity))
	o.metadata(a.Metadata)
	o.close()

	if a.TLSInspected {
		o.bool("tls_inspected", true)
	}
	if a.Tx != nil {
		o.tx(a.Tx)
	}
	o.optStr("app_proto", a.AppProto)
	if a.FlowID != 0 {
		o.str("direction", a.Dir.String())
	}
	if a.Flow != nil {
		o.flowCounters(a)
	}
	if a.Verdict != "" {
		o.verdict(a.Verdict, a.RejectTarget, a.Proto)
	}
	return o.end()
}

// appendHeader starts an object with the members that all events share.
func appendHeader(dst []byte, t *Tuple, event string) object {
	o := start(dst)
	o.time("timestamp", t.Time)
	if t.FlowID != 0 {
		o.uint("flow_id", t.FlowID)
	}
	o.optStr("in_iface", t.Interface)
	if t.PcapCnt != 0 {
		o.uint("pcap_cnt", t.PcapCnt)
	}
	o.str("event_type", event)
	if t.VLANs > 0 {
		o.key("vlan")
		o.b = append(o.b, '[')
		for i, id := range t.VLAN[:min(int(t.VLANs), len(t.VLAN))] {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			o.b = strconv.AppendUint(o.b, uint64(id), 10)
		}
		o.b = append(o.b, ']')
	}
	if t.Src == (packet.Addr{}) && t.Dst == (packet.Addr{}) { // of no IP packet
		o.optStr("pkt_src", t.PktSrc)
		return o
	}
	ports := t.Proto == packet.ProtoTCP || t.Proto == packet.ProtoUDP || t.Proto == packet.ProtoSCTP
	o.addr("src_ip", t.Src)
	if ports {
		o.uint("src_port", uint64(t.SrcPort))
	}
	o.addr("dest_ip", t.Dst)
	if ports {
		o.uint("dest_port", uint64(t.DstPort))
	}
	o.proto(t.Proto)
	if t.Proto == packet.ProtoICMP || t.Proto == packet.ProtoICMPv6 {
		o.uint("icmp_type", uint64(t.ICMPType))
		o.uint("icmp_code", uint64(t.ICMPCode))
	}
	o.optStr("pkt_src", t.PktSrc)
	return o
}

// verdict writes what became of a packet, and how its ends were told.
func (o *object) verdict(action, rejectTarget string, proto uint8) {
	o.open("verdict")
	o.str("action", action)
	if rejectTarget != "" {
		o.str("reject-target", rejectTarget)
		how := "icmp-prohib"
		if proto == packet.ProtoTCP {
			how = "tcp-reset"
		}
		o.key("reject")
		o.b = append(o.b, '[', '"')
		o.b = append(o.b, how...)
		o.b = append(o.b, '"', ']')
	}
	o.close()
}

// proto writes the names that Suricata has for protocols, and three digits
// for the rest.
func (o *object) proto(p uint8) {
	switch p {
	case packet.ProtoICMP:
		o.str("proto", "ICMP")
	case packet.ProtoTCP:
		o.str("proto", "TCP")
	case packet.ProtoUDP:
		o.str("proto", "UDP")
	case packet.ProtoICMPv6:
		o.str("proto", "IPv6-ICMP")
	case packet.ProtoSCTP:
		o.str("proto", "SCTP")
	case 47:
		o.str("proto", "GRE")
	case 50:
		o.str("proto", "ESP")
	default:
		o.key("proto")
		o.b = append(o.b, '"', '0'+p/100, '0'+p/10%10, '0'+p%10, '"')
	}
}

func (o *object) metadata(m []Metadata) {
	if len(m) == 0 {
		return
	}
	o.open("metadata")
	for i := 0; i < len(m); {
		o.foreignKey(m[i].Key)
		o.b = append(o.b, '[')
		first := i
		for ; i < len(m) && m[i].Key == m[first].Key; i++ {
			if i > first {
				o.b = append(o.b, ',')
			}
			o.b = appendString(o.b, m[i].Value)
		}
		o.b = append(o.b, ']')
	}
	o.close()
}

// flowCounters writes the flow object of an alert; its addresses are those of
// the flow, whichever side sent the packet.
func (o *object) flowCounters(a *Alert) {
	f := a.Flow
	o.open("flow")
	o.uint("pkts_toserver", f.PktsToServer)
	o.uint("pkts_toclient", f.PktsToClient)
	o.uint("bytes_toserver", f.BytesToServer)
	o.uint("bytes_toclient", f.BytesToClient)
	o.time("start", f.Start)
	src, dst, sp, dp := a.Src, a.Dst, a.SrcPort, a.DstPort
	if a.Dir == packet.ToClient {
		src, dst, sp, dp = dst, src, dp, sp
	}
	o.addr("src_ip", src)
	o.addr("dest_ip", dst)
	if a.SrcPort != 0 {
		o.uint("src_port", uint64(sp))
		o.uint("dest_port", uint64(dp))
	}
	o.close()
}
