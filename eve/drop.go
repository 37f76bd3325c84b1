package eve

import "github.com/sluicefw/sluice/engine/packet"

// ReasonInside is the reason of a drop that is told of another packet, too: that in it, or the
// datagram that was put together with it. Between that and the packet on the wire there is no reason.
const ReasonInside = "tunnel packet drop"

// Drop is one packet that was dropped.
type Drop struct {
	Tuple
	Dir packet.Dir

	IPVersion uint8  // 4 or 6; 0 leaves out the IP header's members
	Length    int    // IPv4: total length; IPv6: payload length; bytes
	TOS       uint8  // TOS or traffic class
	TTL       uint8  // TTL or hop limit
	IPID      uint16 // IPv4
	FlowLabel uint32 // IPv6, 20 bits

	TCP          *packet.TCP // nil when there is no TCP header
	UDPLength    uint16      // of the UDP header; 0: there is none
	ICMPID       uint16
	ICMPSeq      uint16
	Reason       string // empty: not written. "rules", "flow drop", "stream midstream", ... as Suricata names them
	Cause        string // why a packet was midstream: "flushed", "idle_timeout", ...; empty: it was not
	OperationID  string // of the flush, when Cause is "flushed"
	RejectTarget string // as in Alert
	Alert        *Alert // of the rule that dropped; nil: none did. Its Metadata is not written
}

// AppendDrop appends d as an EVE drop event. "cause" and "flow_operation_id"
// are Sluice's additions.
func AppendDrop(dst []byte, d *Drop) []byte {
	o := appendHeader(dst, &d.Tuple, "drop")
	if d.FlowID != 0 {
		o.str("direction", d.Dir.String())
	}
	o.open("drop")
	switch d.IPVersion {
	case 4:
		o.int("len", int64(d.Length))
		o.uint("tos", uint64(d.TOS))
		o.uint("ttl", uint64(d.TTL))
		o.uint("ipid", uint64(d.IPID))
	case 6:
		o.int("len", int64(d.Length))
		o.uint("tc", uint64(d.TOS))
		o.uint("hoplimit", uint64(d.TTL))
		o.uint("flowlbl", uint64(d.FlowLabel))
	}
	switch {
	case d.TCP != nil:
		o.dropTCP(d.TCP)
	case d.UDPLength != 0:
		o.uint("udplen", uint64(d.UDPLength))
	case d.Proto == packet.ProtoICMP || d.Proto == packet.ProtoICMPv6:
		o.uint("icmp_id", uint64(d.ICMPID))
		o.uint("icmp_seq", uint64(d.ICMPSeq))
	}
	o.optStr("reason", d.Reason)
	o.optStr("cause", d.Cause)
	o.optStr("flow_operation_id", d.OperationID)
	o.close()
	o.verdict("drop", d.RejectTarget, d.Proto)
	if d.Alert != nil {
		o.alert(d.Alert, nil)
	}
	return o.end()
}

func (o *object) dropTCP(t *packet.TCP) {
	o.uint("tcpseq", uint64(t.Seq))
	o.uint("tcpack", uint64(t.Ack))
	o.uint("tcpwin", uint64(t.Window))
	o.bool("syn", t.Flags&packet.SYN != 0)
	o.bool("ack", t.Flags&packet.ACK != 0)
	o.bool("psh", t.Flags&packet.PSH != 0)
	o.bool("rst", t.Flags&packet.RST != 0)
	o.bool("urg", t.Flags&packet.URG != 0)
	o.bool("fin", t.Flags&packet.FIN != 0)
	o.uint("tcpres", uint64(t.Reserved))
	o.uint("tcpurgp", uint64(t.Urgent))
}
