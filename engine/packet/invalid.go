package packet

// Invalid says why a packet cannot be trusted. Valid is the zero value. The
// set is closed, so that counters can be an array of NumInvalid elements.
type Invalid uint8

// The reasons, in the order in which Decode can meet them.
const (
	Valid             Invalid = iota
	LinkUnknown               // a link type that Decode does not know
	LinkTooShort              // the link-layer header is cut
	VLANTooShort              // a VLAN tag is cut
	VLANTooMany               // more than maxVLANTags tags
	IPVersionUnknown          // raw IP that is empty, or whose first nibble is neither 4 nor 6
	IPv4TooShort              // fewer than 20 bytes
	IPv4WrongVersion          // the link layer said IPv4, the header does not
	IPv4HeaderLength          // header length below 20, or beyond the packet
	IPv4TotalLength           // total length below the header length
	IPv4Truncated             // total length beyond the bytes at hand
	IPv4FragTooLong           // a fragment that ends beyond 65,535 bytes
	IPv4Checksum              // wrong header checksum
	IPv6TooShort              // fewer than 40 bytes
	IPv6WrongVersion          // the link layer said IPv6, the header does not
	IPv6Truncated             // payload length beyond the bytes at hand
	IPv6ExtTruncated          // an extension header that is cut
	IPv6ExtTooMany            // more than maxExtHeaders of them
	IPv6FragDuplicate         // a second fragment header
	IPv6FragTooLong           // a fragment that ends beyond 65,535 bytes
	TCPTooShort               // fewer than 20 bytes
	TCPDataOffset             // data offset below 20 bytes, or beyond the segment
	TCPOptionLength           // an option that runs out of the header
	TCPChecksum               // wrong checksum
	UDPTooShort               // fewer than 8 bytes
	UDPLength                 // length field below 8
	UDPTruncated              // length field beyond the datagram
	UDPChecksum               // wrong checksum
	SCTPTooShort              // fewer than 12 bytes
	ICMPv4TooShort            // fewer than 8 bytes
	ICMPv4Checksum            // wrong checksum
	ICMPv6TooShort            // fewer than 8 bytes
	ICMPv6Checksum            // wrong checksum

	NumInvalid int = iota // how many values there are
)

// invalidNames follow Suricata's decoder events ("ipv4.pkt_too_small") where it
// has one, with "_" for ".".
var invalidNames = [NumInvalid]string{
	Valid:             "valid",
	LinkUnknown:       "link_type_unknown",
	LinkTooShort:      "link_pkt_too_small",
	VLANTooShort:      "vlan_header_too_small",
	VLANTooMany:       "vlan_too_many_layers",
	IPVersionUnknown:  "ipraw_invalid_ip_version",
	IPv4TooShort:      "ipv4_pkt_too_small",
	IPv4WrongVersion:  "ipv4_wrong_ip_version",
	IPv4HeaderLength:  "ipv4_hlen_too_small",
	IPv4TotalLength:   "ipv4_iplen_smaller_than_hlen",
	IPv4Truncated:     "ipv4_trunc_pkt",
	IPv4FragTooLong:   "ipv4_frag_pkt_too_large",
	IPv4Checksum:      "ipv4_invalid_checksum",
	IPv6TooShort:      "ipv6_pkt_too_small",
	IPv6WrongVersion:  "ipv6_wrong_ip_version",
	IPv6Truncated:     "ipv6_trunc_pkt",
	IPv6ExtTruncated:  "ipv6_trunc_exthdr",
	IPv6ExtTooMany:    "ipv6_exthdr_too_many",
	IPv6FragDuplicate: "ipv6_exthdr_dupl_fh",
	IPv6FragTooLong:   "ipv6_frag_pkt_too_large",
	TCPTooShort:       "tcp_pkt_too_small",
	TCPDataOffset:     "tcp_hlen_too_small",
	TCPOptionLength:   "tcp_opt_invalid_len",
	TCPChecksum:       "tcp_invalid_checksum",
	UDPTooShort:       "udp_hlen_too_small",
	UDPLength:         "udp_len_invalid",
	UDPTruncated:      "udp_pkt_too_small",
	UDPChecksum:       "udp_invalid_checksum",
	SCTPTooShort:      "sctp_pkt_too_small",
	ICMPv4TooShort:    "icmpv4_pkt_too_small",
	ICMPv4Checksum:    "icmpv4_invalid_checksum",
	ICMPv6TooShort:    "icmpv6_pkt_too_small",
	ICMPv6Checksum:    "icmpv6_invalid_checksum",
}

// String returns the reason in snake case, fit to be a metric label's value.
func (i Invalid) String() string {
	if int(i) >= NumInvalid {
		return "unknown"
	}
	return invalidNames[i]
}
