package detect

import (
	"strings"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// Kind says what a rule is about, as Suricata sorts signatures. What a pass, drop or reject of
// the rule decides, its flow or one packet, depends on it.
type Kind uint8

const (
	KindIPOnly       Kind = iota // addresses, ports, protocol: the first packet of each direction decides the flow
	KindLikeIPOnly               // the same with negated addresses
	KindProtocolOnly             // the application protocol of the flow, by app-layer-protocol: decides the flow
	KindEventOnly                // events of decoding
	KindPacket                   // the payload, header or state of one packet: decides the packet
	KindPacketStream             // payload of a packet or of the stream: what it was found in is decided
	KindStream                   // payload of the stream: decides the flow
	KindApp                      // the application protocol of the flow, by the rule's header: decides the flow
	KindAppTx                    // what a parser found: decides the flow
)

var kindNames = [...]string{"ip_only", "like_ip_only", "pd_only", "de_only", "pkt", "pkt_stream", "stream", "app_layer", "app_tx"}

// String is the name that Suricata's engine analysis uses.
func (k Kind) String() string { return kindNames[k] }

// decidesFlow says whether every match of the kind decides the flow.
func (k Kind) decidesFlow() bool {
	switch k {
	case KindIPOnly, KindLikeIPOnly, KindProtocolOnly, KindApp:
		return true
	}
	return false
}

// list says when a rule is looked at.
type list uint8

const (
	listHeader   list = iota // for every packet, but the outcome depends on the flow only
	listPacket               // for every packet
	listStream               // when a stream has new bytes, and for packets whose payload gets into none
	listHook                 // at a hook
	listProtocol             // when the protocol of a side becomes known
)

// weight is what an option of a rule adds to what decides its kind.
type weight struct {
	options  int  // that ask something of a packet or a flow
	foreign  int  // of those, the ones that a rule of addresses cannot have
	events   int  // of options, decode-event
	beside   bool // something that takes effect is in the rule, which a rule of addresses cannot have
	ofPacket bool // an option is about single packets
	placed   bool // a content counts from the start of the payload, or stream_size is given
	protocol bool // app-layer-protocol
	parsed   bool // app-layer-event of a protocol
}

// weigh takes an option in.
func (w *weight) weigh(o *rule.Option) {
	kw, _ := rule.Known(o.Name)
	w.ofPacket = w.ofPacket || kw.OfPacket()
	foreign := func() { w.options++; w.foreign++ }
	switch arg := o.Arg.(type) {
	case *rule.Content:
		w.ofPacket = w.ofPacket || arg.Replace != nil
		if arg.Buffer == "" {
			w.placed = w.placed || arg.Offset != nil || arg.Depth != nil || arg.StartsWith
		}
	case *rule.Flow:
		w.beside = true
		w.ofPacket = w.ofPacket || arg.NoStream
		if *arg != (rule.Flow{ToServer: arg.ToServer, ToClient: arg.ToClient}) {
			foreign()
		}
	case *rule.FlowBits:
		switch {
		case arg.Op.Reads():
			foreign()
		case arg.Op != rule.BitSet && arg.Op != rule.BitNoAlert:
			w.beside = true
		}
	case *rule.FlowInt:
		if w.beside = true; arg.Reads() {
			foreign()
		}
	case *rule.VarTest:
		foreign()
	case *rule.HostBits:
		if arg.Op.Reads() {
			w.options++
		}
	case *rule.IPRep:
		w.options++
	case rule.L3Proto, *rule.Threshold, *rule.Tag, *rule.Place:
	case *rule.AppProto:
		w.protocol = true
	case rule.Event:
		foreign()
		if o.Name == "decode-event" {
			w.events++
		}
	case rule.AppEvent:
		if strings.Contains(string(arg), ".") {
			w.parsed = true
		} else {
			foreign()
		}
	case *rule.StreamSize:
		foreign()
		w.placed = true
	case rule.Numbers:
		if o.Name != "ip_proto" && kw.Protocols() == nil {
			foreign()
		}
	case *rule.TCPFlags, *rule.FragBits, uint8, *rule.Checksum, *rule.GeoIP, *rule.RPC, *rule.ASN1:
		foreign()
	default:
		switch o.Name {
		case "sameip":
			foreign()
		case "bypass", "nfq_set_mark":
			w.beside = true
		}
	}
}

// kind sorts the rule. app says that its header names an application protocol.
func (b *ruleBuilder) kind(app, negated bool) Kind {
	r, w := &b.r, &b.weight
	switch {
	case len(r.buffers)+len(r.numbers)+len(r.files) > 0 || w.parsed:
		return KindAppTx
	case len(r.headers) > 0:
		return KindPacket
	case len(r.payload) > 0:
		tcp := r.protos[0]&(1<<packet.ProtoTCP) != 0
		switch {
		case w.ofPacket || b.onlyPkt:
			return KindPacket
		case b.onlyStream, tcp && !w.placed:
			return KindStream
		}
		return KindPacketStream
	case w.protocol && !app && w.foreign == 0:
		return KindProtocolOnly
	case !app && !w.protocol && w.foreign == 0 && !w.beside:
		if negated {
			return KindLikeIPOnly
		}
		return KindIPOnly
	case w.events > 0 && w.events == w.options && !app && !w.protocol:
		return KindEventOnly
	case app && w.options == 0:
		return KindApp
	}
	return KindPacket
}

// listOf says when a rule of the kind is looked at.
func (r *Rule) listOf() list {
	if r.Kind == KindAppTx || r.hook != 0 {
		return listHook
	}
	switch r.Kind {
	case KindProtocolOnly:
		return listProtocol
	case KindStream, KindPacketStream:
		if r.protos[0]&(1<<packet.ProtoTCP) != 0 {
			return listStream
		}
		return listPacket
	case KindEventOnly:
		return listPacket
	case KindIPOnly, KindLikeIPOnly:
		return listHeader
	}
	// What a rule remembers or counts changes from packet to packet.
	if len(r.checks)+len(r.headers)+len(r.payload)+len(r.conditions)+len(r.effects) > 0 || r.threshold != nil {
		return listPacket
	}
	return listHeader
}
