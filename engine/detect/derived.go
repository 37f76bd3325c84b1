package detect

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/rule"
)

// textKeywords are older keywords that look for a text in a buffer, by that buffer.
var textKeywords = map[string]string{
	"tls.subject": "tls.cert_subject", "tls.issuerdn": "tls.cert_issuer", "tls.fingerprint": "tls.cert_fingerprint",
	"ssh.softwareversion": "ssh.software", "filename": "file.name", "fileext": "file.name",
}

// derived turns keywords that have a short form of their own into arguments of those that look
// into buffers; ok is false for other keywords.
func derived(o *rule.Option) (args []any, ok bool, err error) {
	if o.Name == "dcerpc.iface" {
		args, err = interfaceArgs(o.Value)
		return args, true, err
	}
	buffer, ok := textKeywords[o.Name]
	if !ok {
		return nil, false, nil
	}
	text, negated := strings.CutPrefix(o.Value, "!")
	c := &rule.Content{Pattern: []byte(strings.Trim(strings.TrimSpace(text), `"`)), Negated: negated, Buffer: buffer}
	switch o.Name {
	case "tls.fingerprint":
		c.StartsWith, c.EndsWith = true, true
	case "filename":
		c.Nocase = true
	case "fileext":
		c.Pattern, c.Nocase, c.EndsWith = append([]byte{'.'}, c.Pattern...), true, true
	}
	return []any{c}, true, nil
}

// interfaceArgs reads the argument of dcerpc.iface: a UUID, maybe a version after an operator, and
// maybe any_frag. The buffer holds the UUID and both parts of the version.
func interfaceArgs(value string) (args []any, err error) {
	const buffer = "dcerpc.iface"
	for i, part := range strings.Split(value, ",") {
		part = strings.TrimSpace(part)
		switch {
		case i == 0:
			uuid, err := hex.DecodeString(strings.ReplaceAll(part, "-", ""))
			if err != nil || len(uuid) != 16 {
				return nil, fmt.Errorf("dcerpc.iface: %q is not a UUID", part)
			}
			args = append(args, &rule.Content{Pattern: uuid, StartsWith: true, Buffer: buffer})
		case part == "any_frag": // calls are looked at as a whole
		default:
			op := strings.TrimRight(part, "0123456789 ")
			n, err := strconv.ParseUint(strings.TrimSpace(part[len(op):]), 10, 16)
			if op = strings.TrimSpace(op); err != nil || op != "<" && op != ">" && op != "=" && op != "!" {
				return nil, fmt.Errorf("dcerpc.iface: %q is no comparison with a version, such as >1 or =2", part)
			}
			t := &rule.ByteTest{Op: op, Value: rule.Operand{Value: n}}
			if op == "!" {
				t.Op, t.Negated = "=", true
			}
			t.Place, t.Bytes, t.Offset = rule.Place{Buffer: buffer}, rule.Operand{Value: 2}, rule.Num{Value: 16}
			args = append(args, t)
		}
	}
	return args, nil
}
