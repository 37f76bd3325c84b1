package detect

import (
	"fmt"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/rule"
)

// ruleBuilder compiles the options of one rule, one after the other.
type ruleBuilder struct {
	r          Rule
	opt        Options
	steps      stepCompiler
	onlyStream bool // never single packets
	onlyPkt    bool // never the stream
	weight     weight
}

func (b *ruleBuilder) option(o *rule.Option) error {
	r := &b.r
	b.weight.weigh(o)
	if s, at, err := b.steps.step(o.Arg); err != nil {
		return err
	} else if s != nil {
		if p, ok := o.Arg.(*rule.PCRE); ok {
			r.addCaptures(p)
		}
		if c, ok := s.(*content); ok && c.replace != nil {
			if at.Buffer != "" {
				return fmt.Errorf("replace changes packets, and cannot follow a content of %s; put pkt_data before the content", at.Buffer)
			}
			r.replaces = true
		}
		if !r.appGiven && readsDCE(o.Arg) {
			r.app, r.appGiven = applayer.DCERPC, true
		}
		return b.addStep(s, at)
	}
	if check, ok := newCheck(o); ok {
		r.checks = append(r.checks, check)
		return nil
	}
	if m, ok, err := newNumber(o); ok {
		r.numbers = append(r.numbers, m)
		return err
	}
	if isFileTest(o.Name) {
		test, err := b.steps.newFileTest(o)
		r.files = append(r.files, test)
		r.digests = r.digests || o.Name != "filesize"
		return err
	}
	if args, ok, err := derived(o); ok {
		for i := 0; i < len(args) && err == nil; i++ {
			var s step
			var at rule.Place
			if s, at, err = b.steps.step(args[i]); err == nil {
				err = b.addStep(s, at)
			}
		}
		return err
	}
	if r.addState(o) {
		return nil
	}
	switch arg := o.Arg.(type) {
	case rule.Event:
		check, err := newEventCheck(arg)
		r.overlaps = r.overlaps || arg == "stream.reassembly_overlap_different_data"
		r.checks = append(r.checks, check)
		return err
	case rule.AppEvent:
		a, err := newAnomaly(arg)
		r.anomalies = append(r.anomalies, a)
		r.hook = applayer.AnomalySeen
		return err
	case *rule.Flow:
		return b.flow(arg)
	case *rule.IPRep:
		check, err := newIPRep(arg, b.opt.Reputation)
		r.checks = append(r.checks, check)
		return err
	case *rule.GeoIP:
		check, err := newGeoIP(arg, b.opt.Countries)
		r.checks = append(r.checks, check)
		return err
	case *rule.AppProto:
		return b.appProto(arg)
	}
	switch o.Name {
	case "ip_proto":
		r.restrictProto(o.Arg.(rule.Numbers))
	case "bypass":
		r.bypass = true
	case "l3_proto":
		r.restrictVersion(uint8(o.Arg.(rule.L3Proto)))
	case "noalert":
		r.Log = false
	case "alert":
		r.Log = true
	default:
		if !folded(o.Name) { // held in Rule itself, or in the step that it belongs to
			return unsupported("keyword %q is known, but not supported here: %s; remove it from the rule", o.Name, whyNot(o.Name))
		}
	}
	return nil
}

// restrictProto leaves only the protocols in want.
func (r *Rule) restrictProto(want rule.Numbers) {
	for p := range uint64(256) {
		if !want.Has(p) {
			r.protos[p>>6] &^= 1 << (p & 63)
		}
	}
}

// restrictVersion leaves only one version of IP.
func (r *Rule) restrictVersion(v uint8) {
	if r.ipVersion != 0 && r.ipVersion != v {
		r.protos = [4]uint64{} // nothing is both
	}
	r.ipVersion = v
}

func (b *ruleBuilder) flow(f *rule.Flow) error {
	b.r.flow = *f
	// By themselves these two ask for no flow, as in Suricata.
	b.r.asksFlow = *f != rule.Flow{ToServer: true} && *f != rule.Flow{NoStream: true}
	b.onlyStream = b.onlyStream || f.OnlyStream
	return nil
}

func (b *ruleBuilder) appProto(a *rule.AppProto) error {
	r := &b.r
	proto, ok := applayer.ProtoByName(a.Name)
	if !ok {
		return unsupported("application protocol %q is not known to this version", a.Name)
	}
	if a.Negated {
		r.notSides = append(r.notSides, proto)
	} else {
		r.side, r.sideGiven = proto, true
	}
	return nil
}

// readsDCE says whether a number is in the byte order of a DCERPC message, which only such flows have.
func readsDCE(arg any) bool {
	switch arg := arg.(type) {
	case *rule.ByteTest:
		return arg.DCE
	case *rule.ByteJump:
		return arg.DCE
	case *rule.ByteExtract:
		return arg.DCE
	}
	return false
}

// addStep files a step under the buffer that it looks into.
func (b *ruleBuilder) addStep(s step, at rule.Place) error {
	r := &b.r
	switch {
	case at.Buffer == "":
		r.payload = append(r.payload, s)
		return nil
	case at.Buffer == "base64_data":
		if b.steps.base64 == nil {
			return fmt.Errorf("base64_data has no base64_decode before it; put one there")
		}
		b.steps.base64.data = append(b.steps.base64.data, s)
		return nil
	}
	name := placeName(at)
	ts, dotprefix, err := newTransforms(at.Transforms)
	if err != nil {
		return err
	}
	if get, ok := packetBuffers[at.Buffer]; ok {
		if absent([]step{s}) {
			return fmt.Errorf("absent is for buffers of application protocols, and every packet of its protocol has %s; leave it out", at.Buffer)
		}
		for i := range r.headers {
			if r.headers[i].name == name {
				r.headers[i].steps = append(r.headers[i].steps, s)
				return nil
			}
		}
		r.headers = append(r.headers, headerMatch{name, get, ts, []step{s}})
		return nil
	}
	if len(applayer.BuffersByName(at.Buffer)) == 0 {
		return unsupported("buffer %q is known, but not supported here: %s; remove it from the rule", at.Buffer, whyNot(at.Buffer))
	}
	for i := range r.buffers {
		if r.buffers[i].name == name {
			r.buffers[i].steps = append(r.buffers[i].steps, s)
			return nil
		}
	}
	r.buffers = append(r.buffers, bufferMatch{name: name, keyword: at.Buffer, transforms: ts, dotprefix: dotprefix, steps: []step{s}})
	_, err = r.variants()
	return err
}
