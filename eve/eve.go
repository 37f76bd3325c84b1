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
	"github.com/sluicefw/sluice/engine/detect"
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
	Broken           bool                    // the packet has no transport header that can be trusted
	VLAN             [packet.MaxVLANs]uint16 // 12-bit ids, outer first
	VLANs            uint8                   // how many of VLAN are set
	PcapCnt          uint64                  // number of the packet in its capture from 1; 0 outside of captures
	Interface        string                  // where the packet came in
	PktSrc           string                  // "wire/pcap", "geneve encapsulation", ...
	Vars             *Vars                   // of the flow; nil: none are written
	CommunityID      []byte                  // empty: it is not written
}

// AppProtos is what is known of a flow's application protocol. What is empty is not written.
type AppProtos struct {
	Proto              string
	ToServer, ToClient string // as that side was recognised; written where it is not Proto
	Orig               string // before the flow changed it
	Expected           string // that a change, or another flow, has announced
}

func (o *object) appProtos(a *AppProtos) {
	o.optStr("app_proto", a.Proto)
	other := func(k, v string) {
		if v != a.Proto {
			o.optStr(k, v)
		}
	}
	other("app_proto_ts", a.ToServer)
	other("app_proto_tc", a.ToClient)
	other("app_proto_orig", a.Orig)
	other("app_proto_expected", a.Expected)
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
	App     AppProtos
	Dir     packet.Dir
	Action  string // "allowed" or "blocked"
	Verdict string // what became of the packet: "pass", "drop", "alert"

	RejectTarget string // who was sent a reset or unreachable: "to_client", "to_server", "both"; empty: nobody

	GID, SID, Rev uint32
	Signature     string
	Category      string
	Severity      int
	Metadata      []detect.Metadata // of the rule, equal keys side by side
	Target        detect.Target     // which end of the packet the rule says is attacked
	Passed        bool              // a pass rule let the packet go

	TLSInspected bool
	Tx           applayer.Tx // that it matched in, or that is under way; nil: none
	TxGuessed    bool        // Tx is under way, nothing more
	Tunnel       *Tunnel     // that the packet came in; nil: none
	Flow         *FlowCounters

	Detail  Detail
	Payload []byte // of the packet, or of the stream
	Stream  bool   // Payload is of the stream
	Frame   *Frame // nil: it is not written

	ResourceARN string // of the rule group, or of the policy for a default action; see Envelope
}

// Tunnel is the packet that another one came in.
type Tunnel struct {
	Src, Dst         packet.Addr
	SrcPort, DstPort uint16
	Proto            uint8
	Depth            uint8 // how many tunnels there are around the packet
	PcapCnt          uint64
	PktSrc           string
}

// AppendAlert appends a as an EVE alert event.
func AppendAlert(dst []byte, a *Alert) []byte {
	o := appendHeader(dst, &a.Tuple, "alert")
	o.alert(a, a.Metadata)
	if a.Tunnel != nil {
		o.tunnel(a.Tunnel)
	}
	if a.TLSInspected {
		o.bool("tls_inspected", true)
	}
	if a.Tx != nil {
		o.tx(a.Tx)
		if !a.TxGuessed {
			o.files(a.Tx, a.Dir)
		}
	}
	o.appProtos(&a.App)
	if a.FlowID != 0 {
		o.str("direction", a.Dir.String())
	}
	if a.Flow != nil {
		o.flowCounters(a)
	}
	if a.isIP() {
		o.payload(a)
	}
	o.frame(a.Frame, 0)
	if a.Verdict != "" {
		o.verdict(a.Verdict, a.RejectTarget, a.Proto)
	}
	return o.end()
}

// payload writes what the alert is about, and whether that is of a stream.
func (o *object) payload(a *Alert) {
	if a.Detail.Payload {
		o.base64("payload", a.Payload)
	}
	if a.Detail.Printable {
		o.printable("payload_printable", a.Payload)
	}
	if a.Detail.Payload || a.Detail.Printable {
		stream := uint64(0)
		if a.Stream {
			stream = 1
		}
		o.uint("stream", stream)
	}
}

// alert writes what alerts and drops have of a rule.
func (o *object) alert(a *Alert, m []detect.Metadata) {
	if a.Tx != nil {
		o.uint("tx_id", a.Tx.State().ID)
		if a.TxGuessed {
			o.bool("tx_guessed", true)
		}
	}
	o.open("alert")
	o.str("action", a.Action)
	o.uint("gid", uint64(a.GID))
	o.uint("signature_id", uint64(a.SID))
	o.uint("rev", uint64(a.Rev))
	o.str("signature", a.Signature)
	o.str("category", a.Category)
	o.int("severity", int64(a.Severity))
	o.target(&a.Tuple, a.Target)
	o.metadata(m)
	o.close()
}

// appendHeader starts the event of a packet with the members that all such events share.
func appendHeader(dst []byte, t *Tuple, event string) object {
	o := start(dst)
	o.tuple(t, event)
	o.optStr("pkt_src", t.PktSrc)
	o.common(t)
	return o
}

// common writes what events of packets and of flows share, but not in one place.
func (o *object) common(t *Tuple) {
	o.vars(t.Vars)
	if len(t.CommunityID) > 0 {
		o.optBytes("community_id", t.CommunityID)
	}
}

// isIP says whether it is of an IP packet.
func (t *Tuple) isIP() bool { return t.Src != (packet.Addr{}) || t.Dst != (packet.Addr{}) }

// tuple writes when, where and between whom something was.
func (o *object) tuple(t *Tuple, event string) {
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
	if !t.isIP() {
		return
	}
	ports := hasPorts(t.Proto)
	o.addr("src_ip", t.Src)
	if ports {
		o.uint("src_port", uint64(t.SrcPort))
	}
	o.addr("dest_ip", t.Dst)
	if ports {
		o.uint("dest_port", uint64(t.DstPort))
	}
	o.proto(t.Proto)
	if isICMP(t.Proto) && !t.Broken {
		o.uint("icmp_type", uint64(t.ICMPType))
		o.uint("icmp_code", uint64(t.ICMPCode))
	}
}

// target writes the ends of the packet as attacker and attacked.
func (o *object) target(t *Tuple, which detect.Target) {
	if which == detect.NoTarget {
		return
	}
	src, dst, sp, dp := t.Src, t.Dst, t.SrcPort, t.DstPort
	if which == detect.TargetSrc {
		src, dst, sp, dp = dst, src, dp, sp
	}
	o.party("source", src, sp, t.Proto)
	o.party("target", dst, dp, t.Proto)
}

func (o *object) party(k string, ip packet.Addr, port uint16, proto uint8) {
	o.open(k)
	o.addr("ip", ip)
	if hasPorts(proto) {
		o.uint("port", uint64(port))
	}
	o.close()
}

// tunnel writes the outermost packet; its ports are 0 where it has none.
func (o *object) tunnel(t *Tunnel) {
	o.open("tunnel")
	o.addr("src_ip", t.Src)
	o.uint("src_port", uint64(t.SrcPort))
	o.addr("dest_ip", t.Dst)
	o.uint("dest_port", uint64(t.DstPort))
	o.proto(t.Proto)
	o.uint("depth", uint64(t.Depth))
	if t.PcapCnt != 0 {
		o.uint("pcap_cnt", t.PcapCnt)
	}
	o.optStr("pkt_src", t.PktSrc)
	o.close()
}

// verdict writes what became of a packet, and how its ends were told.
func (o *object) verdict(action, rejectTarget string, proto uint8) {
	o.open("verdict")
	o.str("action", action)
	if rejectTarget != "" {
		o.str("reject-target", rejectTarget)
		o.key("reject")
		switch {
		case proto == packet.ProtoTCP:
			o.b = append(o.b, `["tcp-reset"]`...)
		case proto == packet.ProtoUDP, isICMP(proto):
			o.b = append(o.b, `["icmp-prohib"]`...)
		default:
			o.b = append(o.b, '[', ']')
		}
	}
	o.close()
}

func (o *object) metadata(m []detect.Metadata) {
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
