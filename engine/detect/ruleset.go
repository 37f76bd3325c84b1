// Package detect compiles rules to an immutable RuleSet and runs it. A Program is
// a rule set with everything else that a firewall policy decides.
//
// A rule set keeps its rules in evaluation order, sorted into lists by what they
// need to look at:
//
//   - header rules depend on nothing but addresses, ports, direction and flow
//     state; the engine asks once for each state of a flow and then knows;
//   - packet rules look at a packet's payload or flags;
//   - stream rules look at reassembled bytes;
//   - application rules wait for a hook of a protocol parser, and those that
//     compare a whole host name are found by a hash of it.
//
// All rules that match are collected first and then decided in order, so what
// wins depends on the rules' order and never on the list that found them.
//
// A RuleSet is never changed after Compile, but for the counts of hits. Workers share it; what
// else changes while it runs is in Input and Result, which each worker has of its own.
package detect

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// Action is what a matching rule, or a whole inspection, comes to.
type Action uint8

const (
	None  Action = iota // nothing terminating matched
	Alert               // only as a rule's action
	Pass
	Drop
	Reject     // drop, and a reset or unreachable to the packet's sender
	RejectDst  // to its receiver
	RejectBoth // to both
)

// String is the action as EVE records spell it.
func (a Action) String() string {
	switch a {
	case None:
		return "none"
	case Alert:
		return "alert"
	case Pass:
		return "pass"
	case Drop:
		return "drop"
	}
	return "reject"
}

// Drops says whether the packet goes no further.
func (a Action) Drops() bool { return a >= Drop }

// Rule is one compiled rule.
type Rule struct {
	Meta   Meta
	Action Action
	Log    bool // writes an alert record when it matches
	Kind   Kind
	list   list

	protos    [4]uint64 // IP protocols, as a bit set
	ipVersion uint8     // 4, 6 or 0 for both
	app       applayer.Proto
	appGiven  bool // app must be the flow's protocol
	side      applayer.Proto
	sideGiven bool             // side must be what the packet's side was recognised as
	notSides  []applayer.Proto // which must be none of these
	overlaps  bool             // it asks for bytes that came again and differ
	src, dst  *addrSet         // nil matches every address
	srcPort   portSet          // nil matches every port, also where there is none
	dstPort   portSet
	flow      rule.Flow
	asksFlow  bool // flow is not of a packet without one, whatever it says

	checks  []check
	headers []headerMatch
	payload []step
	hollow  bool     // a payload without bytes could match it
	veto    *content // of a hollow rule: what keeps it from being looked at so
	hook    applayer.Hook
	buffers []bufferMatch
	numbers []numberMatch
	files   []fileTest
	filesAt applayer.Files // whose files, in the rule's protocol and direction

	anomalies []applayer.Anomaly // that the transaction or the flow must have

	bypass     bool // a match ends the inspection of its flow
	digests    bool // it asks for digests of files
	conditions []condition
	effects    []effect
	captures   bool // a pcre of it captures variables
	replaces   bool // a content of it is to be replaced
	orders     [numOrders]uint8
	threshold  *rule.Threshold // nil counts nothing
	counter    uint64          // names the rule's counts
	tags       []*rule.Tag     // whose packets are logged after a match
}

// bufferMatch is what a rule asks of one named buffer, after transformations.
type bufferMatch struct {
	name       string // tells buffers with different transformations apart
	keyword    string
	buffer     applayer.Buffer // what keyword stands for in the rule's protocol and direction
	transforms []transform
	dotprefix  bool // transforms is dotprefix alone
	steps      []step
}

// headerMatch is the same for a buffer that every packet fills.
type headerMatch struct {
	name       string
	get        func(p *packet.Packet) []byte
	transforms []transform
	steps      []step
}

// Protocol classes: rules are listed once for each class that they can match.
const (
	classTCP = iota
	classUDP
	classICMP
	classOther
	numClasses
)

func classOf(proto uint8) int {
	switch proto {
	case packet.ProtoTCP:
		return classTCP
	case packet.ProtoUDP:
		return classUDP
	case packet.ProtoICMP, packet.ProtoICMPv6:
		return classICMP
	}
	return classOther
}

// RuleSet is a compiled set of rules, in evaluation order.
type RuleSet struct {
	hits      []atomic.Uint64 // by rule
	rules     []Rule
	packet    [numClasses][]uint32
	stream    []uint32
	protocols [numClasses][]uint32 // that Detected looks at
	ending    []uint32             // of packet, those that End looks at
	undecoded []uint32
	hooks     [applayer.NumHooks][]uint32

	headerIndex [numClasses]headerIndex

	// Made by index from the lists above. strayIndex has the rules that look only at
	// packets which get into no stream.
	packetIndex, strayIndex [numClasses]prefilter
	streamIndex             prefilter
	hookIndex               [applayer.NumHooks]hookIndex

	names map[uint64]varName // of flowbits and flowints, by hash
	sets  *dataSets

	flowVerdicts bool
	remembers    bool // some rules have conditions or effects
	needsFlow    bool // some rules look at figures of the flow, or remember
	needsStream  bool
	tags         bool // some rules ask for packets after their match
	overlaps     bool // some rules ask for bytes that came again and differ
	digests      bool // some rules ask for digests of files
}

// Source is one rule to compile, with the scope that its variables live in.
type Source struct {
	Rule        *rule.Rule
	Lookup      Variables
	ResourceARN string
}

// Variables resolves $NAME and @NAME in rule headers. Two that are equal (==) are one scope, so its
// type has to be comparable: a pointer, mostly.
type Variables interface {
	Addrs(name string) (rule.Addrs, bool)
	Ports(name string) (rule.Ports, bool)
}

// Options say how the rules of a set relate.
type Options struct {
	// Strict evaluates rules in the order given. Otherwise pass comes before
	// drop, drop before reject, reject before alert, and within an action the
	// lower priority number, as Suricata orders by default.
	Strict bool

	// FlowVerdicts lets every pass, drop and reject decide its whole flow, as
	// AWS documents it. Otherwise, as in Suricata, rules that look at single
	// packets decide the packet only.
	FlowVerdicts bool

	// Files are where data sets are loaded from and saved to, and lists of digests read. Without it
	// rules that name any are refused.
	Files SetFiles

	// Lost, if set, is told of each file that cannot be read, which is then no error: a data set or a list
	// has what could be read, and the set is not saved over its file.
	Lost func(error)

	// SetMemory is how many bytes data sets may hold, as memcap counts them, for packets to add
	// to them; 0 is any number. A set's memcap holds beside it. With Previous it is as there.
	SetMemory uint64

	// Previous is the rule set that this one takes the place of, or nil. A data set that is
	// defined as it was there keeps its entries.
	Previous *RuleSet

	// Countries is what geoip asks. Without it rules with geoip are refused.
	Countries Countries

	// Reputation is what iprep asks. Without it rules with iprep are refused.
	Reputation Reputation
}

// Error says why a rule cannot be compiled.
type Error struct {
	Rule        *rule.Rule
	Line, Col   int
	Msg         string
	Unsupported bool // the rule is right, but this version cannot run it
}

// newError places what is wrong with an option, or with the header where o is nil.
func newError(r *rule.Rule, o *rule.Option, err error) *Error {
	e := &Error{Rule: r, Line: r.Line, Col: 1, Msg: err.Error()}
	if o != nil {
		e.Line, e.Col = o.Line, o.Col
	}
	_, e.Unsupported = errors.AsType[unsupportedError](err)
	return e
}

// unsupportedError is why a rule that is right cannot be run.
type unsupportedError string

func (e unsupportedError) Error() string { return string(e) }

func unsupported(format string, args ...any) error {
	return unsupportedError(fmt.Sprintf(format, args...))
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Col, e.Msg)
}

// Rules returns the compiled rules in evaluation order. The caller must not change them.
func (p *RuleSet) Rules() []Rule { return p.rules }

// Hits returns how often each rule has matched, by its index in Rules, whether it alerts or
// not. Rules with <> stand there twice, once for each direction.
func (p *RuleSet) Hits() []uint64 {
	counts := make([]uint64, len(p.hits))
	for i := range p.hits {
		counts[i] = p.hits[i].Load()
	}
	return counts
}

// NeedsStream says whether TCP payload must be reassembled for stream rules.
func (p *RuleSet) NeedsStream() bool { return p.needsStream }

// WantsOverlaps says whether rules ask for bytes of a stream that come again and differ from
// those that were acknowledged.
func (p *RuleSet) WantsOverlaps() bool { return p.overlaps }

// NeedsFlow says whether rules look at Input.FlowID and what follows it.
func (p *RuleSet) NeedsFlow() bool { return p.needsFlow }

// NeedsDigests says whether rules ask for digests of files.
func (p *RuleSet) NeedsDigests() bool { return p.digests }

// Tags says whether rules ask for packets after their match.
func (p *RuleSet) Tags() bool { return p.tags }

// WantsStream says whether stream rules exist for a protocol at all.
func (p *RuleSet) WantsStream(proto uint8) bool {
	return proto == packet.ProtoTCP && p.needsStream
}
