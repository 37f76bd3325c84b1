package packet

import "strings"

// Event is something about a packet that no honest sender does, or that keeps it from
// being decoded or followed. Rules name events with decode-event, stream-event and
// engine-event. The names are Suricata 7's.
type Event uint8

// Valid is no event: what Packet.Invalid is for a packet that can be trusted.
const Valid Event = 0

// The events of decoding and defragmentation, then faults for which Suricata has no
// event and rules no name, then the events of TCP connection tracking, which engine/stream
// sets on the packet that it judges.
const (
	_ Event = iota // Valid
	EventAFPacketTruncatedPacket
	EventCHDLCPacketTooSmall
	EventDCEPacketTooSmall
	EventERSPANHeaderTooSmall
	EventERSPANTooManyVLANLayers
	EventERSPANUnsupportedVersion
	EventESPPacketTooSmall
	EventETagHeaderTooSmall
	EventETagUnknownType
	EventEthernetPacketTooSmall
	EventGeneveUnknownPayloadType
	EventGREPacketTooSmall
	EventGREVersion0Flags
	EventGREVersion0HeaderTooBig
	EventGREVersion0MalformedSREHeader
	EventGREVersion0Recur
	EventGREVersion1Chksum
	EventGREVersion1Flags
	EventGREVersion1HeaderTooBig
	EventGREVersion1MalformedSREHeader
	EventGREVersion1NoKey
	EventGREVersion1Recur
	EventGREVersion1Route
	EventGREVersion1SSR
	EventGREVersion1WrongProtocol
	EventGREWrongVersion
	EventICMPv4IPv4TruncatedPacket
	EventICMPv4IPv4UnknownVersion
	EventICMPv4PacketTooSmall
	EventICMPv4UnknownCode
	EventICMPv4UnknownType
	EventICMPv6ExperimentationType
	EventICMPv6IPv6TruncatedPacket
	EventICMPv6IPv6UnknownVersion
	EventICMPv6MLDMessageWithInvalidHL
	EventICMPv6PacketTooSmall
	EventICMPv6UnassignedType
	EventICMPv6UnknownCode
	EventICMPv6UnknownType
	EventIEEE8021ahHeaderTooSmall
	EventIPRawInvalidIPVersion
	EventIPv4FragmentIgnored
	EventIPv4FragmentOverlap
	EventIPv4FragmentPacketTooLarge
	EventIPv4HeaderLenTooSmall
	EventIPv4ICMPv6
	EventIPv4IPLenSmallerThanHeaderLen
	EventIPv4OptionDuplicate
	EventIPv4OptionEOLRequired
	EventIPv4OptionInvalid
	EventIPv4OptionInvalidLen
	EventIPv4OptionMalformed
	EventIPv4OptionPadRequired
	EventIPv4OptionUnknown
	EventIPv4PacketTooSmall
	EventIPv4TruncatedPacket
	EventIPv4WrongIPVersion
	EventIPv6DataAfterNoneHeader
	EventIPv6DstoptsOnlyPadding
	EventIPv6DstoptsUnknownOption
	EventIPv6ExtHeaderAHResNotNull
	EventIPv6ExtHeaderDuplicateAH
	EventIPv6ExtHeaderDuplicateDH
	EventIPv6ExtHeaderDuplicateEH
	EventIPv6ExtHeaderDuplicateFH
	EventIPv6ExtHeaderDuplicateHH
	EventIPv6ExtHeaderDuplicateRH
	EventIPv6ExtHeaderInvalidOptlen
	EventIPv6ExtHeaderUselessFH
	EventIPv6FHNonZeroReservedField
	EventIPv6FragmentIgnored
	EventIPv6FragmentInvalidLength
	EventIPv6FragmentOverlap
	EventIPv6FragmentPacketTooLarge
	EventIPv6HopoptsOnlyPadding
	EventIPv6HopoptsUnknownOption
	EventIPv6ICMPv4
	EventIPv6IPv4InIPv6TooSmall
	EventIPv6IPv4InIPv6WrongVersion
	EventIPv6IPv6InIPv6TooSmall
	EventIPv6IPv6InIPv6WrongVersion
	EventIPv6PacketTooSmall
	EventIPv6RHType0
	EventIPv6TruncatedExtHeader
	EventIPv6TruncatedPacket
	EventIPv6UnknownNextHeader
	EventIPv6WrongIPVersion
	EventIPv6ZeroLenPadN
	EventLTNullPacketTooSmall
	EventLTNullUnsupportedType
	EventMPLSBadLabelImplicitNull
	EventMPLSBadLabelReserved
	EventMPLSBadLabelRouterAlert
	EventMPLSHeaderTooSmall
	EventMPLSPacketTooSmall
	EventMPLSUnknownPayloadType
	EventNSHBadHeaderLength
	EventNSHHeaderTooSmall
	EventNSHReservedType
	EventNSHUnknownPayload
	EventNSHUnsupportedType
	EventNSHUnsupportedVersion
	EventPPPIPv4PacketTooSmall
	EventPPPIPv6PacketTooSmall
	EventPPPPacketTooSmall
	EventPPPUnsupportedProtocol
	EventPPPVJUPacketTooSmall
	EventPPPWrongType
	EventPPPoEMalformedTags
	EventPPPoEPacketTooSmall
	EventPPPoEWrongCode
	EventSCTPPacketTooSmall
	EventSLLPacketTooSmall
	EventTCPHeaderLenTooSmall
	EventTCPInvalidOptlen
	EventTCPOptionDuplicate
	EventTCPOptionInvalidLen
	EventTCPPacketTooSmall
	EventTooManyLayers
	EventUDPHeaderLenInvalid
	EventUDPHeaderLenTooSmall
	EventUDPLenInvalid
	EventUDPPacketTooSmall
	EventVLANHeaderTooSmall
	EventVLANTooManyLayers
	EventVLANUnknownType
	EventVNTagHeaderTooSmall
	EventVNTagUnknownType
	EventVXLANUnknownPayloadType

	FaultLinkType       // a link type that Decode does not know
	FaultMappedAddress  // an IPv6 address that stands for one of IPv4, which nothing may send (RFC 4291, 2.5.5.2)
	FaultIPv4Checksum   // wrong checksums, which keywords such as ipv4-csum look at
	FaultTCPChecksum    //
	FaultUDPChecksum    //
	FaultICMPv4Checksum //
	FaultICMPv6Checksum //

	Stream3WHSACKDataInject
	Stream3WHSACKInWrongDir
	Stream3WHSAsyncWrongSeq
	Stream3WHSRightSeqWrongACKEvasion
	Stream3WHSSYNFlood
	Stream3WHSSYNResendDifferentSeqOnSYNRecv
	Stream3WHSSYNToclientOnSYNRecv
	Stream3WHSSYNACKFlood
	Stream3WHSSYNACKInWrongDirection
	Stream3WHSSYNACKResendWithDifferentACK
	Stream3WHSSYNACKResendWithDifferentSeq
	Stream3WHSSYNACKTFODataIgnored
	Stream3WHSSYNACKToserverOnSYNRecv
	Stream3WHSSYNACKWithWrongACK
	Stream3WHSWrongSeqWrongACK
	Stream4WHSInvalidACK
	Stream4WHSSYNACKWithWrongACK
	Stream4WHSSYNACKWithWrongSYN
	Stream4WHSWrongSeq
	StreamClosewaitACKOutOfWindow
	StreamClosewaitFINOutOfWindow
	StreamClosewaitInvalidACK
	StreamClosewaitPacketBeforeLastACK
	StreamClosingACKWrongSeq
	StreamClosingInvalidACK
	StreamEstACKZeroWindowProbeData
	StreamEstInvalidACK
	StreamEstPacketOutOfWindow
	StreamEstPacketBeforeLastACK
	StreamEstSYNResend
	StreamEstSYNResendDifferentSeq
	StreamEstSYNToclient
	StreamEstSYNACKResend
	StreamEstSYNACKResendWithDifferentACK
	StreamEstSYNACKResendWithDifferentSeq
	StreamEstSYNACKToserver
	StreamFin1ACKWrongSeq
	StreamFin1FINWrongSeq
	StreamFin1InvalidACK
	StreamFin2ACKWrongSeq
	StreamFin2FINWrongSeq
	StreamFin2InvalidACK
	StreamFINButNoSession
	StreamFINInvalidACK
	StreamFINOutOfWindow
	StreamFINSYN
	StreamLastackACKWrongSeq
	StreamLastackInvalidACK
	StreamPacketBadWindowUpdate
	StreamPacketBrokenACK
	StreamPacketInvalidACK
	StreamPacketInvalidTimestamp
	StreamPacketRetransmission
	StreamPacketSpuriousRetransmission
	StreamReassemblyDepthReached
	StreamReassemblyInsertInvalid
	StreamReassemblyInsertLimit
	StreamReassemblyInsertMemcap
	StreamReassemblyNoSegment
	StreamReassemblyOverlapDifferentData
	StreamReassemblySegmentBeforeBaseSeq
	StreamReassemblySeqGap
	StreamReassemblyUrgentOOBLimitReached
	StreamRSTButNoSession
	StreamRSTInvalidACK
	StreamRSTWithData
	StreamShutdownSYNResend
	StreamSuspectedRSTInject
	StreamTimewaitACKWrongSeq
	StreamTimewaitInvalidACK
	StreamWrongThread

	// NumEvents is how many events there are.
	NumEvents int = iota
)

const firstFault = FaultLinkType

// FirstStreamEvent is where the events of connection tracking begin.
const FirstStreamEvent = Stream3WHSACKDataInject

// NumDecoderEvents is how many values Packet.Invalid can have: they are below it.
const NumDecoderEvents = int(FirstStreamEvent)

// eventNames are the names that rules use, without "decoder." and "stream." before them.
var eventNames = [NumEvents]string{
	EventAFPacketTruncatedPacket:       "afpacket.trunc_pkt",
	EventCHDLCPacketTooSmall:           "chdlc.pkt_too_small",
	EventDCEPacketTooSmall:             "dce.pkt_too_small",
	EventERSPANHeaderTooSmall:          "erspan.header_too_small",
	EventERSPANTooManyVLANLayers:       "erspan.too_many_vlan_layers",
	EventERSPANUnsupportedVersion:      "erspan.unsupported_version",
	EventESPPacketTooSmall:             "esp.pkt_too_small",
	EventETagHeaderTooSmall:            "etag.header_too_small",
	EventETagUnknownType:               "etag.unknown_type",
	EventEthernetPacketTooSmall:        "ethernet.pkt_too_small",
	EventGeneveUnknownPayloadType:      "geneve.unknown_payload_type",
	EventGREPacketTooSmall:             "gre.pkt_too_small",
	EventGREVersion0Flags:              "gre.version0_flags",
	EventGREVersion0HeaderTooBig:       "gre.version0_hdr_too_big",
	EventGREVersion0MalformedSREHeader: "gre.version0_malformed_sre_hdr",
	EventGREVersion0Recur:              "gre.version0_recur",
	EventGREVersion1Chksum:             "gre.version1_chksum",
	EventGREVersion1Flags:              "gre.version1_flags",
	EventGREVersion1HeaderTooBig:       "gre.version1_hdr_too_big",
	EventGREVersion1MalformedSREHeader: "gre.version1_malformed_sre_hdr",
	EventGREVersion1NoKey:              "gre.version1_no_key",
	EventGREVersion1Recur:              "gre.version1_recur",
	EventGREVersion1Route:              "gre.version1_route",
	EventGREVersion1SSR:                "gre.version1_ssr",
	EventGREVersion1WrongProtocol:      "gre.version1_wrong_protocol",
	EventGREWrongVersion:               "gre.wrong_version",
	EventICMPv4IPv4TruncatedPacket:     "icmpv4.ipv4_trunc_pkt",
	EventICMPv4IPv4UnknownVersion:      "icmpv4.ipv4_unknown_ver",
	EventICMPv4PacketTooSmall:          "icmpv4.pkt_too_small",
	EventICMPv4UnknownCode:             "icmpv4.unknown_code",
	EventICMPv4UnknownType:             "icmpv4.unknown_type",
	EventICMPv6ExperimentationType:     "icmpv6.experimentation_type",
	EventICMPv6IPv6TruncatedPacket:     "icmpv6.ipv6_trunc_pkt",
	EventICMPv6IPv6UnknownVersion:      "icmpv6.ipv6_unknown_version",
	EventICMPv6MLDMessageWithInvalidHL: "icmpv6.mld_message_with_invalid_hl",
	EventICMPv6PacketTooSmall:          "icmpv6.pkt_too_small",
	EventICMPv6UnassignedType:          "icmpv6.unassigned_type",
	EventICMPv6UnknownCode:             "icmpv6.unknown_code",
	EventICMPv6UnknownType:             "icmpv6.unknown_type",
	EventIEEE8021ahHeaderTooSmall:      "ieee8021ah.header_too_small",
	EventIPRawInvalidIPVersion:         "ipraw.invalid_ip_version",
	EventIPv4FragmentIgnored:           "ipv4.frag_ignored",
	EventIPv4FragmentOverlap:           "ipv4.frag_overlap",
	EventIPv4FragmentPacketTooLarge:    "ipv4.frag_pkt_too_large",
	EventIPv4HeaderLenTooSmall:         "ipv4.hlen_too_small",
	EventIPv4ICMPv6:                    "ipv4.icmpv6",
	EventIPv4IPLenSmallerThanHeaderLen: "ipv4.iplen_smaller_than_hlen",
	EventIPv4OptionDuplicate:           "ipv4.opt_duplicate",
	EventIPv4OptionEOLRequired:         "ipv4.opt_eol_required",
	EventIPv4OptionInvalid:             "ipv4.opt_invalid",
	EventIPv4OptionInvalidLen:          "ipv4.opt_invalid_len",
	EventIPv4OptionMalformed:           "ipv4.opt_malformed",
	EventIPv4OptionPadRequired:         "ipv4.opt_pad_required",
	EventIPv4OptionUnknown:             "ipv4.opt_unknown",
	EventIPv4PacketTooSmall:            "ipv4.pkt_too_small",
	EventIPv4TruncatedPacket:           "ipv4.trunc_pkt",
	EventIPv4WrongIPVersion:            "ipv4.wrong_ip_version",
	EventIPv6DataAfterNoneHeader:       "ipv6.data_after_none_header",
	EventIPv6DstoptsOnlyPadding:        "ipv6.dstopts_only_padding",
	EventIPv6DstoptsUnknownOption:      "ipv6.dstopts_unknown_opt",
	EventIPv6ExtHeaderAHResNotNull:     "ipv6.exthdr_ah_res_not_null",
	EventIPv6ExtHeaderDuplicateAH:      "ipv6.exthdr_dupl_ah",
	EventIPv6ExtHeaderDuplicateDH:      "ipv6.exthdr_dupl_dh",
	EventIPv6ExtHeaderDuplicateEH:      "ipv6.exthdr_dupl_eh",
	EventIPv6ExtHeaderDuplicateFH:      "ipv6.exthdr_dupl_fh",
	EventIPv6ExtHeaderDuplicateHH:      "ipv6.exthdr_dupl_hh",
	EventIPv6ExtHeaderDuplicateRH:      "ipv6.exthdr_dupl_rh",
	EventIPv6ExtHeaderInvalidOptlen:    "ipv6.exthdr_invalid_optlen",
	EventIPv6ExtHeaderUselessFH:        "ipv6.exthdr_useless_fh",
	EventIPv6FHNonZeroReservedField:    "ipv6.fh_non_zero_reserved_field",
	EventIPv6FragmentIgnored:           "ipv6.frag_ignored",
	EventIPv6FragmentInvalidLength:     "ipv6.frag_invalid_length",
	EventIPv6FragmentOverlap:           "ipv6.frag_overlap",
	EventIPv6FragmentPacketTooLarge:    "ipv6.frag_pkt_too_large",
	EventIPv6HopoptsOnlyPadding:        "ipv6.hopopts_only_padding",
	EventIPv6HopoptsUnknownOption:      "ipv6.hopopts_unknown_opt",
	EventIPv6ICMPv4:                    "ipv6.icmpv4",
	EventIPv6IPv4InIPv6TooSmall:        "ipv6.ipv4_in_ipv6_too_small",
	EventIPv6IPv4InIPv6WrongVersion:    "ipv6.ipv4_in_ipv6_wrong_version",
	EventIPv6IPv6InIPv6TooSmall:        "ipv6.ipv6_in_ipv6_too_small",
	EventIPv6IPv6InIPv6WrongVersion:    "ipv6.ipv6_in_ipv6_wrong_version",
	EventIPv6PacketTooSmall:            "ipv6.pkt_too_small",
	EventIPv6RHType0:                   "ipv6.rh_type_0",
	EventIPv6TruncatedExtHeader:        "ipv6.trunc_exthdr",
	EventIPv6TruncatedPacket:           "ipv6.trunc_pkt",
	EventIPv6UnknownNextHeader:         "ipv6.unknown_next_header",
	EventIPv6WrongIPVersion:            "ipv6.wrong_ip_version",
	EventIPv6ZeroLenPadN:               "ipv6.zero_len_padn",
	EventLTNullPacketTooSmall:          "ltnull.pkt_too_small",
	EventLTNullUnsupportedType:         "ltnull.unsupported_type",
	EventMPLSBadLabelImplicitNull:      "mpls.bad_label_implicit_null",
	EventMPLSBadLabelReserved:          "mpls.bad_label_reserved",
	EventMPLSBadLabelRouterAlert:       "mpls.bad_label_router_alert",
	EventMPLSHeaderTooSmall:            "mpls.header_too_small",
	EventMPLSPacketTooSmall:            "mpls.pkt_too_small",
	EventMPLSUnknownPayloadType:        "mpls.unknown_payload_type",
	EventNSHBadHeaderLength:            "nsh.bad_header_length",
	EventNSHHeaderTooSmall:             "nsh.header_too_small",
	EventNSHReservedType:               "nsh.reserved_type",
	EventNSHUnknownPayload:             "nsh.unknown_payload",
	EventNSHUnsupportedType:            "nsh.unsupported_type",
	EventNSHUnsupportedVersion:         "nsh.unsupported_version",
	EventPPPIPv4PacketTooSmall:         "ppp.ip4_pkt_too_small",
	EventPPPIPv6PacketTooSmall:         "ppp.ip6_pkt_too_small",
	EventPPPPacketTooSmall:             "ppp.pkt_too_small",
	EventPPPUnsupportedProtocol:        "ppp.unsup_proto",
	EventPPPVJUPacketTooSmall:          "ppp.vju_pkt_too_small",
	EventPPPWrongType:                  "ppp.wrong_type",
	EventPPPoEMalformedTags:            "pppoe.malformed_tags",
	EventPPPoEPacketTooSmall:           "pppoe.pkt_too_small",
	EventPPPoEWrongCode:                "pppoe.wrong_code",
	EventSCTPPacketTooSmall:            "sctp.pkt_too_small",
	EventSLLPacketTooSmall:             "sll.pkt_too_small",
	EventTCPHeaderLenTooSmall:          "tcp.hlen_too_small",
	EventTCPInvalidOptlen:              "tcp.invalid_optlen",
	EventTCPOptionDuplicate:            "tcp.opt_duplicate",
	EventTCPOptionInvalidLen:           "tcp.opt_invalid_len",
	EventTCPPacketTooSmall:             "tcp.pkt_too_small",
	EventTooManyLayers:                 "too_many_layers",
	EventUDPHeaderLenInvalid:           "udp.hlen_invalid",
	EventUDPHeaderLenTooSmall:          "udp.hlen_too_small",
	EventUDPLenInvalid:                 "udp.len_invalid",
	EventUDPPacketTooSmall:             "udp.pkt_too_small",
	EventVLANHeaderTooSmall:            "vlan.header_too_small",
	EventVLANTooManyLayers:             "vlan.too_many_layers",
	EventVLANUnknownType:               "vlan.unknown_type",
	EventVNTagHeaderTooSmall:           "vntag.header_too_small",
	EventVNTagUnknownType:              "vntag.unknown_type",
	EventVXLANUnknownPayloadType:       "vxlan.unknown_payload_type",

	FaultLinkType:       "link.unknown_type",
	FaultMappedAddress:  "ipv6.mapped_address",
	FaultIPv4Checksum:   "ipv4.invalid_checksum",
	FaultTCPChecksum:    "tcp.invalid_checksum",
	FaultUDPChecksum:    "udp.invalid_checksum",
	FaultICMPv4Checksum: "icmpv4.invalid_checksum",
	FaultICMPv6Checksum: "icmpv6.invalid_checksum",

	Stream3WHSACKDataInject:                  "3whs_ack_data_inject",
	Stream3WHSACKInWrongDir:                  "3whs_ack_in_wrong_dir",
	Stream3WHSAsyncWrongSeq:                  "3whs_async_wrong_seq",
	Stream3WHSRightSeqWrongACKEvasion:        "3whs_right_seq_wrong_ack_evasion",
	Stream3WHSSYNFlood:                       "3whs_syn_flood",
	Stream3WHSSYNResendDifferentSeqOnSYNRecv: "3whs_syn_resend_diff_seq_on_syn_recv",
	Stream3WHSSYNToclientOnSYNRecv:           "3whs_syn_toclient_on_syn_recv",
	Stream3WHSSYNACKFlood:                    "3whs_synack_flood",
	Stream3WHSSYNACKInWrongDirection:         "3whs_synack_in_wrong_direction",
	Stream3WHSSYNACKResendWithDifferentACK:   "3whs_synack_resend_with_diff_ack",
	Stream3WHSSYNACKResendWithDifferentSeq:   "3whs_synack_resend_with_diff_seq",
	Stream3WHSSYNACKTFODataIgnored:           "3whs_synack_tfo_data_ignored",
	Stream3WHSSYNACKToserverOnSYNRecv:        "3whs_synack_toserver_on_syn_recv",
	Stream3WHSSYNACKWithWrongACK:             "3whs_synack_with_wrong_ack",
	Stream3WHSWrongSeqWrongACK:               "3whs_wrong_seq_wrong_ack",
	Stream4WHSInvalidACK:                     "4whs_invalid_ack",
	Stream4WHSSYNACKWithWrongACK:             "4whs_synack_with_wrong_ack",
	Stream4WHSSYNACKWithWrongSYN:             "4whs_synack_with_wrong_syn",
	Stream4WHSWrongSeq:                       "4whs_wrong_seq",
	StreamClosewaitACKOutOfWindow:            "closewait_ack_out_of_window",
	StreamClosewaitFINOutOfWindow:            "closewait_fin_out_of_window",
	StreamClosewaitInvalidACK:                "closewait_invalid_ack",
	StreamClosewaitPacketBeforeLastACK:       "closewait_pkt_before_last_ack",
	StreamClosingACKWrongSeq:                 "closing_ack_wrong_seq",
	StreamClosingInvalidACK:                  "closing_invalid_ack",
	StreamEstACKZeroWindowProbeData:          "est_ack_zwp_data",
	StreamEstInvalidACK:                      "est_invalid_ack",
	StreamEstPacketOutOfWindow:               "est_packet_out_of_window",
	StreamEstPacketBeforeLastACK:             "est_pkt_before_last_ack",
	StreamEstSYNResend:                       "est_syn_resend",
	StreamEstSYNResendDifferentSeq:           "est_syn_resend_diff_seq",
	StreamEstSYNToclient:                     "est_syn_toclient",
	StreamEstSYNACKResend:                    "est_synack_resend",
	StreamEstSYNACKResendWithDifferentACK:    "est_synack_resend_with_diff_ack",
	StreamEstSYNACKResendWithDifferentSeq:    "est_synack_resend_with_diff_seq",
	StreamEstSYNACKToserver:                  "est_synack_toserver",
	StreamFin1ACKWrongSeq:                    "fin1_ack_wrong_seq",
	StreamFin1FINWrongSeq:                    "fin1_fin_wrong_seq",
	StreamFin1InvalidACK:                     "fin1_invalid_ack",
	StreamFin2ACKWrongSeq:                    "fin2_ack_wrong_seq",
	StreamFin2FINWrongSeq:                    "fin2_fin_wrong_seq",
	StreamFin2InvalidACK:                     "fin2_invalid_ack",
	StreamFINButNoSession:                    "fin_but_no_session",
	StreamFINInvalidACK:                      "fin_invalid_ack",
	StreamFINOutOfWindow:                     "fin_out_of_window",
	StreamFINSYN:                             "fin_syn",
	StreamLastackACKWrongSeq:                 "lastack_ack_wrong_seq",
	StreamLastackInvalidACK:                  "lastack_invalid_ack",
	StreamPacketBadWindowUpdate:              "pkt_bad_window_update",
	StreamPacketBrokenACK:                    "pkt_broken_ack",
	StreamPacketInvalidACK:                   "pkt_invalid_ack",
	StreamPacketInvalidTimestamp:             "pkt_invalid_timestamp",
	StreamPacketRetransmission:               "pkt_retransmission",
	StreamPacketSpuriousRetransmission:       "pkt_spurious_retransmission",
	StreamReassemblyDepthReached:             "reassembly_depth_reached",
	StreamReassemblyInsertInvalid:            "reassembly_insert_invalid",
	StreamReassemblyInsertLimit:              "reassembly_insert_limit",
	StreamReassemblyInsertMemcap:             "reassembly_insert_memcap",
	StreamReassemblyNoSegment:                "reassembly_no_segment",
	StreamReassemblyOverlapDifferentData:     "reassembly_overlap_different_data",
	StreamReassemblySegmentBeforeBaseSeq:     "reassembly_segment_before_base_seq",
	StreamReassemblySeqGap:                   "reassembly_seq_gap",
	StreamReassemblyUrgentOOBLimitReached:    "reassembly_urgent_oob_limit_reached",
	StreamRSTButNoSession:                    "rst_but_no_session",
	StreamRSTInvalidACK:                      "rst_invalid_ack",
	StreamRSTWithData:                        "rst_with_data",
	StreamShutdownSYNResend:                  "shutdown_syn_resend",
	StreamSuspectedRSTInject:                 "suspected_rst_inject",
	StreamTimewaitACKWrongSeq:                "timewait_ack_wrong_seq",
	StreamTimewaitInvalidACK:                 "timewait_invalid_ack",
	StreamWrongThread:                        "wrong_thread",
}

// String returns the name of the event as records have it, such as "decoder.ipv4.trunc_pkt".
func (e Event) String() string {
	switch {
	case e == Valid:
		return "valid"
	case int(e) >= NumEvents:
		return "unknown"
	case e.Stream():
		return "stream." + eventNames[e]
	}
	return "decoder." + eventNames[e]
}

// Name is String without its first word, such as "ipv4.trunc_pkt": what rules and
// counters call the event.
func (e Event) Name() string {
	if e == Valid || int(e) >= NumEvents {
		return e.String()
	}
	return eventNames[e]
}

// Stream says whether the event is one of connection tracking.
func (e Event) Stream() bool { return e >= FirstStreamEvent }

// Checksum says whether the event is a wrong checksum.
func (e Event) Checksum() bool { return e >= FaultIPv4Checksum && e < FirstStreamEvent }

// DecoderEvent returns the event that decode-event calls name.
func DecoderEvent(name string) (e Event, ok bool) { return eventByName(name, false) }

// StreamEvent returns the event that stream-event calls name.
func StreamEvent(name string) (e Event, ok bool) { return eventByName(name, true) }

func eventByName(name string, stream bool) (Event, bool) {
	if stream {
		name = strings.Replace(name, "_with_different_ack", "_with_diff_ack", 1) // as its own rules have it
	}
	for e := Valid + 1; e < Event(NumEvents); e++ {
		if e.Stream() == stream && (stream || e < firstFault) && eventNames[e] == name {
			return e, true
		}
	}
	return 0, false
}

// maxEvents is how many events a packet keeps; Suricata's figure. Later ones are not noted.
const maxEvents = 15

// Events are the events of one packet, in the order in which they came up.
type Events struct {
	list [maxEvents]Event
	n    uint8
}

// Add notes an event.
func (s *Events) Add(e Event) {
	if s.n < maxEvents {
		s.list[s.n] = e
		s.n++
	}
}

// All returns the events, valid until the next packet is decoded.
func (s *Events) All() []Event { return s.list[:s.n] }

// Has says whether e is among them.
func (s *Events) Has(e Event) bool {
	for _, x := range s.All() {
		if x == e {
			return true
		}
	}
	return false
}
