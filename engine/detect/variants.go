package detect

import (
	"fmt"
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// field is what a rule's keyword can stand for: a buffer, a number or the files of a protocol, at a hook.
type field interface {
	Proto() applayer.Proto
	Hook() applayer.Hook
}

// fieldsOf returns what a keyword can stand for.
func fieldsOf(keyword string) (all []field) {
	for _, b := range applayer.BuffersByName(keyword) {
		all = append(all, b)
	}
	for _, n := range applayer.NumbersByName(keyword) {
		all = append(all, n)
	}
	if isFileTest(keyword) {
		for _, f := range applayer.AllFiles() {
			all = append(all, f)
		}
	}
	return all
}

// keywords returns the keywords of r that stand for fields.
func (r *Rule) keywords() (all []string) {
	for i := range r.buffers {
		all = append(all, r.buffers[i].keyword)
	}
	for i := range r.numbers {
		all = append(all, r.numbers[i].keyword)
	}
	if len(r.files) > 0 {
		all = append(all, anyFileTest)
	}
	return all
}

// variants returns the rule once for each protocol and direction that have all of its fields,
// each with its hook: the last of those of its fields.
func (r *Rule) variants() ([]Rule, error) {
	var all []Rule
	keywords := r.keywords()
	for _, first := range fieldsOf(keywords[0]) {
		v := *r
		if r.appGiven && !r.app.Covers(first.Proto()) || !v.resolve(first) {
			continue
		}
		v.app, v.appGiven = first.Proto(), true
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, r.conflict(keywords)
	}
	return all, nil
}

// resolve makes r's fields those of a protocol and a direction, if all are there. The first of
// them is given.
func (r *Rule) resolve(first field) bool {
	proto, dir := first.Proto(), first.Hook().Dir()
	if r.flow.ToServer && dir != packet.ToServer || r.flow.ToClient && dir != packet.ToClient {
		return false
	}
	r.buffers, r.numbers = slices.Clone(r.buffers), slices.Clone(r.numbers)
	pick := func(keyword string) field {
		all := fieldsOf(keyword)
		at := slices.IndexFunc(all, func(f field) bool { return f.Proto() == proto && f.Hook().Dir() == dir })
		if slices.Contains(all, first) {
			return first
		} else if at < 0 {
			return nil
		}
		return all[at]
	}
	for i := range r.buffers {
		f := pick(r.buffers[i].keyword)
		if f == nil {
			return false
		}
		r.buffers[i].buffer = f.(applayer.Buffer)
		r.hook = max(r.hook, f.Hook())
	}
	for i := range r.numbers {
		f := pick(r.numbers[i].keyword)
		if f == nil {
			return false
		}
		r.numbers[i].number = f.(applayer.Number)
		r.hook = max(r.hook, f.Hook())
	}
	if len(r.files) > 0 {
		f := pick(anyFileTest)
		if f == nil {
			return false
		}
		r.filesAt = f.(applayer.Files)
		r.hook = max(r.hook, f.Hook())
	}
	return true
}

// conflict says why no protocol and direction has all of r's fields.
func (r *Rule) conflict(keywords []string) error {
	for _, name := range keywords {
		all := fieldsOf(name)
		if r.appGiven && !slices.ContainsFunc(all, func(f field) bool { return r.app.Covers(f.Proto()) }) {
			return fmt.Errorf("buffer %q belongs to protocol %s, but the rule is for %s", name, all[0].Proto(), r.app)
		}
		if r.flow.ToClient && !slices.ContainsFunc(all, func(f field) bool { return f.Hook().Dir() == packet.ToClient }) {
			return fmt.Errorf("%s is what the client sends, but flow:to_client asks for the server's packets: the rule could never match", name)
		}
		if r.flow.ToServer && !slices.ContainsFunc(all, func(f field) bool { return f.Hook().Dir() == packet.ToServer }) {
			return fmt.Errorf("%s is what the server sends, but flow:to_server asks for the client's packets: the rule could never match", name)
		}
	}
	return fmt.Errorf("%s and %s are never there together: they are of different protocols or directions; use a rule for each, and a flowbit to join them",
		keywords[0], keywords[len(keywords)-1])
}
