package detect

import (
	"fmt"
	"slices"

	"github.com/sluicefw/sluice/rule"
)

// stepCompiler turns what a rule asks of buffers into steps.
type stepCompiler struct {
	vars   map[string]variable
	base64 *base64 // the last, for what follows on base64_data
	sets   *dataSets
	lists  *hashLists
}

// variable is where the value of a byte_extract or byte_math variable is, and
// the buffer that it was read from.
type variable struct {
	slot   int
	buffer string
}

// step compiles the argument of an option; where it looks is in at, and nil is
// for an argument that is no step.
func (c *stepCompiler) step(arg any) (s step, at rule.Place, err error) {
	switch arg := arg.(type) {
	case *rule.Content:
		at = rule.Place{Buffer: arg.Buffer, Transforms: arg.Transforms}
		s, err = c.content(arg, at)
	case *rule.ByteTest:
		at = arg.Place
		t := &byteTest{negated: arg.Negated, op: arg.Op}
		s = t
		if t.byteValue, err = c.value(&arg.ByteValue); err == nil {
			t.than, err = c.operand(arg.Value, at)
		}
	case *rule.ByteJump:
		at = arg.Place
		j := &byteJump{multiplier: arg.Multiplier, align: arg.Align, from: arg.From, post: arg.PostOffset}
		s = j
		j.byteValue, err = c.value(&arg.ByteValue)
	case *rule.ByteExtract:
		at = arg.Place
		e := &byteExtract{multiplier: arg.Multiplier, align: arg.Align}
		s = e
		if e.byteValue, err = c.value(&arg.ByteValue); err == nil {
			e.slot, err = c.define(arg.Name, at)
		}
	case *rule.ByteMath:
		at = arg.Place
		m := &byteMath{op: arg.Op}
		s = m
		if m.byteValue, err = c.value(&arg.ByteValue); err == nil {
			if m.with, err = c.operand(arg.RValue, at); err == nil {
				m.slot, err = c.define(arg.Name, at)
			}
		}
	case *rule.IsDataAt:
		at = arg.Place
		d := &isDataAt{negated: arg.Negated, relative: arg.Relative}
		s = d
		d.at, err = c.operand(rule.Operand{Value: uint64(arg.At.Value), Var: arg.At.Var}, at)
	case *rule.BufferSize:
		return &bufferSize{arg.Size}, arg.Place, nil
	case *rule.Absent:
		return &absence{arg.OrElse}, arg.Place, nil
	case *rule.Dataset:
		at = arg.Place
		in := &inSet{op: arg.Op}
		s = in
		in.set, err = c.sets.get(&arg.SetOptions)
	case *rule.DataRep:
		at = arg.Place
		rep := &reputation{op: arg.Op, than: arg.Value}
		s = rep
		rep.set, err = c.sets.get(&arg.SetOptions)
	case *rule.PCRE:
		at = arg.Place
		s, err = newRegex(arg)
	case *rule.Base64Decode:
		c.base64 = &base64{bytes: arg.Bytes, offset: arg.Offset, relative: arg.Relative}
		return c.base64, arg.Place, nil
	}
	return s, at, err
}

func (c *stepCompiler) content(in *rule.Content, at rule.Place) (*content, error) {
	out := newContent(in)
	vars := contentVars{-1, -1, -1, -1}
	for _, v := range []struct {
		num  *rule.Num
		slot *int
	}{{in.Offset, &vars.offset}, {in.Depth, &vars.depth}, {in.Distance, &vars.distance}, {in.Within, &vars.within}} {
		if v.num == nil || v.num.Var == "" {
			continue
		}
		o, err := c.operand(rule.Operand{Var: v.num.Var}, at)
		if err != nil {
			return nil, err
		}
		*v.slot, out.vars = o.slot, &vars
	}
	return out, nil
}

func (c *stepCompiler) value(in *rule.ByteValue) (out byteValue, err error) {
	out = byteValue{offset: in.Offset.Value, offsetIn: -1, relative: in.Relative, little: in.Little, dce: in.DCE, digits: in.String, base: in.Base, bitmask: in.Bitmask}
	if out.bytes, err = c.operand(in.Bytes, in.Place); err != nil || in.Offset.Var == "" {
		return out, err
	}
	o, err := c.operand(rule.Operand{Var: in.Offset.Var}, in.Place)
	out.offsetIn = o.slot
	return out, err
}

func (c *stepCompiler) operand(o rule.Operand, at rule.Place) (operand, error) {
	if o.Var == "" {
		return operand{o.Value, -1}, nil
	}
	v := c.vars[o.Var]
	if v.buffer != placeName(at) {
		return operand{}, fmt.Errorf("variable %q is read from another buffer; read and use it in one", o.Var)
	}
	return operand{0, v.slot}, nil
}

func (c *stepCompiler) define(name string, at rule.Place) (slot int, err error) {
	v, known := c.vars[name]
	if !known {
		if v.slot = len(c.vars); v.slot == maxVars {
			return 0, fmt.Errorf("the rule has more than %d variables; use fewer", maxVars)
		}
	}
	if c.vars == nil {
		c.vars = map[string]variable{}
	}
	v.buffer = placeName(at)
	c.vars[name] = v
	return v.slot, nil
}

// placeName tells places apart.
func placeName(p rule.Place) string {
	name := p.Buffer
	for _, t := range p.Transforms {
		name += " " + t.String()
	}
	return name
}

// newTransforms compiles transformations. dotprefix says that they are nothing else.
func newTransforms(options []rule.Option) (ts []transform, dotprefix bool, err error) {
	for i := range options {
		t, err := newTransform(&options[i])
		if err != nil {
			return nil, false, err
		}
		ts = append(ts, t)
	}
	return ts, len(options) == 1 && options[0].Name == "dotprefix", nil
}

// isTransform says whether a keyword is a transformation that newTransform knows.
func isTransform(name string) bool {
	return transforms[name] != nil || slices.Contains([]string{"xor", "pcrexform"}, name)
}
