package eve

import (
	"slices"
	"strings"

	"github.com/sluicefw/sluice/engine/detect"
)

// Vars are what rules have noted about a flow, and about the packet at hand.
type Vars struct {
	Bits []string // names of flowbits; see AddBit
	IDs  []string // of flowbits traffic/id/..., without that
	Tags []string // of flowbits traffic/label/..., without that
	Ints []Int

	Texts  []Text             // captured by pcre
	Packet []detect.PacketVar // of the packet
}

// Text is a flowvar.
type Text struct {
	Name  string
	Value []byte
}

// Int is a flowint.
type Int struct {
	Name  string
	Value uint32
}

// AddBit adds a flowbit. Names that begin with traffic/id/ and traffic/label/ classify the flow.
func (v *Vars) AddBit(name string) {
	if id, ok := strings.CutPrefix(name, "traffic/id/"); ok {
		v.IDs = append(v.IDs, id)
	} else if label, ok := strings.CutPrefix(name, "traffic/label/"); ok {
		v.Tags = append(v.Tags, label)
	} else {
		v.Bits = append(v.Bits, name)
	}
}

// Reverse turns the order of what was added round.
func (v *Vars) Reverse() {
	slices.Reverse(v.Bits)
	slices.Reverse(v.IDs)
	slices.Reverse(v.Tags)
	slices.Reverse(v.Ints)
	slices.Reverse(v.Texts)
}

// Reset empties v.
func (v *Vars) Reset() {
	v.Bits, v.IDs, v.Tags, v.Ints, v.Texts, v.Packet = v.Bits[:0], v.IDs[:0], v.Tags[:0], v.Ints[:0], v.Texts[:0], nil
}

// vars writes the objects traffic and metadata, if there is anything in them.
func (o *object) vars(v *Vars) {
	if v == nil {
		return
	}
	if len(v.IDs)+len(v.Tags) > 0 {
		o.open("traffic")
		o.strs("id", v.IDs)
		o.strs("label", v.Tags)
		o.close()
	}
	if len(v.Bits)+len(v.Ints)+len(v.Texts)+len(v.Packet) > 0 {
		o.open("metadata")
		o.strs("flowbits", v.Bits)
		if len(v.Ints) > 0 {
			o.open("flowints")
			for _, i := range v.Ints {
				o.foreignKey(i.Name)
				o.uintValue(uint64(i.Value))
			}
			o.close()
		}
		if len(v.Texts) > 0 {
			o.array("flowvars")
			for i := range v.Texts {
				o.variable([]byte(v.Texts[i].Name), v.Texts[i].Value)
			}
			o.closeArray()
		}
		if len(v.Packet) > 0 {
			o.array("pktvars")
			for i := range v.Packet {
				o.variable(v.Packet[i].Name, v.Packet[i].Value)
			}
			o.closeArray()
		}
		o.close()
	}
}

// variable writes a captured variable, as an object of an array.
func (o *object) variable(name, value []byte) {
	o.element()
	o.openElement()
	o.printableKey(name)
	o.b = appendPrintable(o.b, value)
	o.close()
}

// strs writes an array of strings, if there are any.
func (o *object) strs(k string, list []string) {
	if len(list) == 0 {
		return
	}
	o.key(k)
	o.b = append(o.b, '[')
	for i, s := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendString(o.b, s)
	}
	o.b = append(o.b, ']')
}
