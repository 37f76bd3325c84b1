package rule

import (
	"bytes"
	"slices"
	"strings"
)

// claim is a keyword that asks something of its rule as a whole; off is where it stands.
type claim struct {
	name string
	off  int
}

func (c claim) set() bool { return c.name != "" }

// claims are the first keywords of a rule that ask for one thing each.
type claims struct {
	packet     claim // about packets themselves
	looks      claim // at what a parser found
	onlyStream claim
	toClient   claim // at what the server sends
	toServer   claim // at what the client sends
	app        claim // named the application protocol
	direction  claim // needs a flow with a direction
}

func note(c *claim, name string, off int) {
	if !c.set() {
		*c = claim{name, off}
	}
}

// beginHeader takes in what the header says.
func (b *builder) beginHeader() {
	b.apps = everyApp
	switch proto := b.rule.Proto; {
	case slices.Contains(appNames, proto):
		b.apps = appsOf(proto)
		b.claims.app = claim{proto, 0}
	case proto == "tcp-pkt":
		b.claims.packet = claim{proto, 0}
	case proto == "tcp-stream":
		b.claims.onlyStream = claim{proto, 0}
	}
}

// claim notes what a keyword asks of the rule, and says what it contradicts.
func (b *builder) claim(kw Keyword, off int) *fault {
	if kw.apps != 0 {
		if b.apps&kw.apps == 0 {
			return faultf(off, "%s is about %s, but %s about %s: no packet is both", kw.Name, kw.apps, b.claims.app.name, b.apps)
		}
		if kw.apps != everyApp {
			b.apps &= kw.apps
			note(&b.claims.app, kw.Name, off)
		}
	}
	if kw.over != 0 && !b.runsOver(kw.over) {
		return faultf(off, "%s is a header that no packet of protocol %s has", kw.Name, b.rule.Proto)
	}
	if kw.Name == "file.data" && !b.runsOver(protoTCP) {
		return faultf(off, "file.data is about files, which no packet of protocol %s carries", b.rule.Proto)
	}
	if kw.packet {
		note(&b.claims.packet, kw.Name, off)
	}
	if kw.looks {
		note(&b.claims.looks, kw.Name, off)
	}
	switch kw.sender {
	case clientSends:
		note(&b.claims.toServer, kw.Name, off)
	case serverSends:
		note(&b.claims.toClient, kw.Name, off)
	}
	if kw.Buffer == "http.header.raw" {
		note(&b.claims.direction, kw.Name, off)
	}
	return nil
}

// claimArg notes what the argument of a keyword asks of the rule.
func (b *builder) claimArg(arg any, off int) *fault {
	switch arg := arg.(type) {
	case *Flow:
		if arg.NoStream {
			note(&b.claims.packet, "flow:no_stream", off)
		} else if arg.OnlyStream {
			note(&b.claims.onlyStream, "flow:only_stream", off)
		}
	case *PCRE:
		return b.claimBuffer(arg.Buffer, off)
	case *ByteTest:
		return b.claimDCE(arg.DCE, off)
	case *ByteJump:
		return b.claimDCE(arg.DCE, off)
	case *ByteExtract:
		return b.claimDCE(arg.DCE, off)
	case AppEvent:
		if proto, _, ok := strings.Cut(string(arg), "."); ok {
			return b.claim(Keyword{Name: "app-layer-event:" + string(arg), apps: appsOf(proto), looks: true}, off)
		}
	}
	return nil
}

// claimDCE notes that a number is in the byte order of a DCERPC message.
func (b *builder) claimDCE(dce bool, off int) *fault {
	if !dce {
		return nil
	}
	return b.claim(Keyword{Name: "dce", apps: appsOf("dcerpc", "smb")}, off)
}

// checkAppProto says what an app-layer-protocol contradicts.
func (b *builder) checkAppProto(a *AppProto) *fault {
	if b.claims.app.set() {
		return faultf(atKeyword, "the rule is about %s already, because of %s; leave app-layer-protocol out", b.apps, b.claims.app.name)
	}
	for i := range b.rule.Options {
		if other, ok := b.rule.Options[i].Arg.(*AppProto); ok && (!other.Negated || !a.Negated) {
			return faultf(atKeyword, "a second app-layer-protocol cannot hold together with the first; only several with ! can")
		}
	}
	return nil
}

// runsOver says whether packets of the rule's protocol can have a header of the transport protocol.
func (b *builder) runsOver(proto uint8) bool {
	tcp, udp := Transports(b.rule.Proto)
	switch name := b.rule.Proto; name {
	case "ip", "ipv4", "ipv6", "pkthdr":
		return true
	case "tcp", "tcp-pkt", "tcp-stream":
		return proto == protoTCP
	case "udp":
		return proto == protoUDP
	case "icmp", "icmpv4", "icmpv6":
		return proto == protoICMP
	}
	return proto == protoTCP && tcp || proto == protoUDP && udp
}

// contradiction reports what in the rule cannot go together.
func (b *builder) contradiction() *fault {
	c := &b.claims
	both := func(x, y claim, why string) *fault {
		if !x.set() || !y.set() {
			return nil
		}
		return faultf(max(x.off, y.off), "%s and %s cannot be in one rule: %s", x.name, y.name, why)
	}
	for _, f := range []*fault{
		both(c.packet, c.looks, "one is about single packets, the other about what many of them add up to"),
		both(c.packet, c.onlyStream, "one is about single packets, the other about streams"),
		both(c.toServer, c.toClient, "one looks at what the client sends, the other at what the server sends"),
	} {
		if f != nil {
			return f
		}
	}
	toServer, toClient := b.direction()
	switch {
	case toServer && c.toClient.set():
		return faultf(c.toClient.off, "%s is what the server sends, but flow asks for packets to the server: the rule could never match", c.toClient.name)
	case toClient && c.toServer.set():
		return faultf(c.toServer.off, "%s is what the client sends, but flow asks for packets to the client: the rule could never match", c.toServer.name)
	case c.direction.set() && !toServer && !toClient:
		return faultf(c.direction.off, "%s is in requests and in responses; add flow:to_server or flow:to_client", c.direction.name)
	}
	return nil
}

// direction is what the flow keywords say.
func (b *builder) direction() (toServer, toClient bool) {
	for i := range b.rule.Options {
		if f, ok := b.rule.Options[i].Arg.(*Flow); ok {
			toServer, toClient = toServer || f.ToServer, toClient || f.ToClient
		}
	}
	return toServer, toClient
}

// hashLengths are the lengths of what buffers hold that are made of hexadecimal digits.
var hashLengths = map[string]int{
	"ja3.hash": 32, "ja3s.hash": 32, "ssh.hassh": 32, "ssh.hassh.server": 32, "quic.cyu.hash": 32, "tls.cert_fingerprint": 59,
}

// neverAfter are what transformations leave nothing of, with the way to write it.
var neverAfter = map[string]struct {
	has  func(pattern []byte) bool
	what string
}{
	"to_lowercase":     {func(p []byte) bool { return !bytes.Equal(p, bytes.ToLower(p)) }, "capitals; write the content in lower case"},
	"to_uppercase":     {func(p []byte) bool { return !bytes.Equal(p, bytes.ToUpper(p)) }, "lower case; write the content in capitals"},
	"strip_whitespace": {func(p []byte) bool { return bytes.ContainsAny(p, whiteSpace) }, "white space; leave it out of the content"},
	"compress_whitespace": {func(p []byte) bool {
		for i := range len(p) - 1 {
			if strings.IndexByte(whiteSpace, p[i]) >= 0 && strings.IndexByte(whiteSpace, p[i+1]) >= 0 {
				return true
			}
		}
		return false
	}, "two characters of white space in a row; write one"},
}

// whiteSpace is what C's isspace takes for it.
const whiteSpace = "\t\n\v\f\r "

// transformedAway says that a content has what a transformation of its buffer leaves nothing of.
func (c *Content) transformedAway(off int) *fault {
	for _, t := range c.Transforms {
		if never, ok := neverAfter[t.Name]; ok && !c.Negated && never.has(c.Pattern) {
			return faultf(off, "%s leaves no %s", t.Name, never.what)
		}
	}
	return nil
}

// unfit says why a content can never be found in its buffer, or is written as its buffer never
// has it; off is where the content stands.
func (c *Content) unfit(off int) *fault {
	if len(c.Transforms) > 0 {
		return c.transformedAway(off)
	}
	if n, ok := hashLengths[c.Buffer]; ok {
		switch {
		case c.Nocase:
			return faultf(off, "%s is always in lower case; leave nocase out", c.Buffer)
		case len(c.Pattern) != n:
			return faultf(off, "%s has %d characters, the content %d; give the whole of it", c.Buffer, n, len(c.Pattern))
		case c.Buffer == "tls.cert_fingerprint" && bytes.Count(c.Pattern, []byte(":")) != 19:
			return faultf(off, "%s has a colon between bytes; write it as in 11:22:33", c.Buffer)
		}
		c.Pattern = bytes.ToLower(c.Pattern)
		return nil
	}
	switch c.Buffer {
	case "http.host":
		switch {
		case c.Nocase:
			return faultf(off, "http.host is always in lower case; leave nocase out")
		case !bytes.Equal(bytes.ToLower(c.Pattern), c.Pattern):
			return faultf(off, "http.host is always in lower case, but the content has capitals; write it in lower case, or use http.host.raw")
		}
	case "http.method":
		if !c.Negated && (c.Pattern[0] == ' ' || c.Pattern[len(c.Pattern)-1] == ' ') {
			return faultf(off, "http.method has no space at its start or end; leave it out of the content")
		}
	}
	return nil
}

// placed is a content with what is known of its place in the rule.
type placed struct {
	*Content
	off int
}

// sizes reports contents that are longer than what bsize or dsize lets their buffer be.
func (b *builder) sizes() *fault {
	for i := range b.rule.Options {
		var size Numbers
		var at Place
		switch o := &b.rule.Options[i]; arg := o.Arg.(type) {
		case *BufferSize:
			size, at = arg.Size, arg.Place
		case Numbers:
			if o.Name != "dsize" {
				continue
			}
			size = arg
		default:
			continue
		}
		if size.Negated {
			continue
		}
		need, last := 0, placed{}
		for _, c := range b.contents {
			if c.Buffer != at.Buffer || len(c.Transforms) > 0 || len(at.Transforms) > 0 || c.Negated {
				continue
			}
			if c.Distance != nil || c.Within != nil {
				need += len(c.Pattern)
				if c.Distance != nil && c.Distance.Value > 0 {
					need += c.Distance.Value
				}
			} else {
				start := 0
				if c.Offset != nil {
					start = c.Offset.Value
				}
				need = max(need, start+len(c.Pattern))
			}
			last = c
		}
		if uint64(need) > size.To {
			return faultf(last.off, "the contents need %d bytes, but %s allows only %d: the rule could never match", need, b.rule.Options[i].Name, size.To)
		}
	}
	return nil
}
