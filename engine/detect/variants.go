package detect

import (
	"fmt"
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// variants returns the rule once for each protocol and direction that have all of its buffers,
// each with its hook: the last of those of its buffers.
func (r *Rule) variants() ([]Rule, error) {
	var all []Rule
	for _, first := range applayer.BuffersByName(r.buffers[0].keyword) {
		v := *r
		if r.appGiven && r.app != first.Proto() || !v.resolve(first.Proto(), first.Hook().Dir()) {
			continue
		}
		v.app, v.appGiven = first.Proto(), true
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, r.conflict()
	}
	return all, nil
}

// resolve makes r's buffers those of a protocol and a direction, if all are there.
func (r *Rule) resolve(proto applayer.Proto, dir packet.Dir) bool {
	if r.flow.ToServer && dir != packet.ToServer || r.flow.ToClient && dir != packet.ToClient {
		return false
	}
	r.buffers = slices.Clone(r.buffers)
	for i := range r.buffers {
		b := &r.buffers[i]
		candidates := applayer.BuffersByName(b.keyword)
		at := slices.IndexFunc(candidates, func(c applayer.Buffer) bool { return c.Proto() == proto && c.Hook().Dir() == dir })
		if at < 0 {
			return false
		}
		b.buffer = candidates[at]
		r.hook = max(r.hook, b.buffer.Hook())
	}
	return true
}

// conflict says why no protocol and direction has all of r's buffers.
func (r *Rule) conflict() error {
	for i := range r.buffers {
		name := r.buffers[i].keyword
		candidates := applayer.BuffersByName(name)
		if r.appGiven && !slices.ContainsFunc(candidates, func(b applayer.Buffer) bool { return b.Proto() == r.app }) {
			return fmt.Errorf("buffer %q belongs to protocol %s, but the rule is for %s", name, candidates[0].Proto(), r.app)
		}
		if r.flow.ToClient && !slices.ContainsFunc(candidates, func(b applayer.Buffer) bool { return b.Hook().Dir() == packet.ToClient }) {
			return fmt.Errorf("%s is what the client sends, but flow:to_client asks for the server's packets: the rule could never match", name)
		}
		if r.flow.ToServer && !slices.ContainsFunc(candidates, func(b applayer.Buffer) bool { return b.Hook().Dir() == packet.ToServer }) {
			return fmt.Errorf("%s is what the server sends, but flow:to_server asks for the client's packets: the rule could never match", name)
		}
	}
	return fmt.Errorf("%s and %s are never there together: they are of different protocols or directions; use a rule for each, and a flowbit to join them",
		r.buffers[0].keyword, r.buffers[len(r.buffers)-1].keyword)
}
