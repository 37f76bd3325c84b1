// Package rule is the Suricata 7 rule language: text to tree and back, with
// line and column in every error. It knows every keyword of the language and
// what its arguments mean; it does not know which of them an engine supports
// (package detect decides that) nor what an AWS API accepts (package policy).
package rule

import "net/netip"

// Action is what a rule asks for.
type Action uint8

const (
	Alert Action = iota
	Pass
	Drop
	Reject     // reject and rejectsrc: to the sender of the packet
	RejectDst  // to its receiver
	RejectBoth // to both
)

// Rule is one parsed rule. String prints it back.
type Rule struct {
	Action   Action
	Proto    string // lower case and canonical: "ip", "tcp", "tcp-pkt", "tls" (also for ssl), "ipv4" (also for ip4), ...
	Src, Dst Addrs
	SrcPort  Ports
	DstPort  Ports
	Both     bool // <> instead of ->
	Options  []Option

	// Copies of what nearly every reader wants, taken from Options.
	SID, GID, Rev uint32 // GID is 1 when the rule does not say
	Msg           string
	Priority      int // of the priority keyword
	HasPriority   bool
	ClassType     string // of the classtype keyword, else ""
	OnlyHTTP1     bool   // keywords such as http_uri are about HTTP/1 alone, whatever Proto says

	// Unmet says why the rule is to be left out: its requires does not hold. Then only SID, Text
	// and Line are set.
	Unmet string

	Text string // the rule as it stood in the source, comments and continuations resolved
	Line int    // first line in the source, from 1
}

// Addrs is an address expression: the union of its positive terms (all
// addresses of a family that has only negative ones) less its negative terms.
// Resolve has the details.
type Addrs struct {
	Any   bool   // the word any, alone
	Terms []Addr // empty when Any
}

// Addr is one term of an address expression. Exactly one of Var, List and
// From is meaningful.
type Addr struct {
	Negated bool
	Any     bool         // the word any as a term
	Var     string       // "HOME_NET" for $HOME_NET, "@NAME" for an AWS reference set
	List    []Addr       // a bracketed sub-list
	From    netip.Addr   // first address
	To      netip.Addr   // last address, inclusive (a CIDR is stored as its range)
	Prefix  netip.Prefix // set when the source had an address or CIDR, invalid for a range
}

// Ports is a port expression, with the same rule for negation as Addrs.
type Ports struct {
	Any   bool
	Terms []Port
}

// Port is one term of a port expression.
type Port struct {
	Negated  bool
	Any      bool
	Var      string
	List     []Port
	From, To uint16
}

// Option is one keyword with its argument, in source order.
type Option struct {
	Name      string // the keyword's canonical name, whatever alias the source used: "http.host"
	Value     string // the raw argument with its quotes and escapes, trimmed; "" when there is none
	HasValue  bool
	Line, Col int // of the keyword in the source, from 1
	Arg       any // the parsed argument: *Content, *Flow, ... (see args.go), nil when the keyword has none or it needs no parsing
}

// Content is the argument of content, with every modifier that follows it
// folded in. Buffer names the sticky buffer or content modifier that it
// inspects: "" is the packet payload or raw stream, also after pkt_data, and
// a frame is "frame:" and its name.
type Content struct {
	Pattern                []byte
	Replace                []byte // what takes its place, as long; nil to leave it
	Negated                bool
	Nocase                 bool
	StartsWith             bool
	EndsWith               bool
	RawBytes               bool
	FastPattern            bool
	FastPatternOnly        bool
	FastOffset, FastLength int // of fast_pattern:offset,length; Length 0 means whole

	// Nil when absent. Value is a number, or Var names a byte_extract/byte_math variable.
	Offset, Depth, Distance, Within *Num

	Buffer     string   // canonical sticky-buffer name: "tls.sni", "http.host", "frame:tls.pdu", ...
	Transforms []Option // dotprefix, to_lowercase, ... between the sticky buffer and this content
}

// Num is a number or the name of a byte_extract / byte_math variable.
type Num struct {
	Value int
	Var   string
}

// Flow is the argument of flow.
type Flow struct {
	Established, NotEstablished, Stateless bool
	ToServer, ToClient                     bool // from_client is ToServer, from_server is ToClient
	OnlyStream, NoStream                   bool
	OnlyFrag, NoFrag                       bool
}

// TCPFlags is the argument of flags (tcp.flags): the packet's flags, without
// those of Ignore, are compared with Flags as Op says.
type TCPFlags struct {
	Op     byte // 0 exact, '+' all of these and maybe others, '*' any of these, '!' not all of these
	Flags  uint8
	Ignore uint8
}

// AppProto is the argument of app-layer-protocol.
type AppProto struct {
	Negated bool
	Name    string // "tls", "http", "failed", ...
}
