package control

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

var update = flag.Bool("update", false, "write the table of docs/api.md")

// modelPrefix is the target prefix of AWS's operations.
const modelPrefix = "NetworkFirewall_20201112"

// operations are those of AWS's model, by name.
func operations() map[string]*wire.Operation {
	all := map[string]*wire.Operation{}
	for _, op := range wire.Operations() {
		if op.Prefix == modelPrefix {
			all[op.Name] = &op
		}
	}
	return all
}

// TestEveryOperationIsSupportedAsSaid: what is offered has a method, and what
// is not has none.
func TestEveryOperationIsSupportedAsSaid(t *testing.T) {
	said := map[string]bool{}
	for _, s := range Supported() {
		said[s.Operation] = true
		if operations()[s.Operation] == nil {
			t.Errorf("%s is no operation of the model", s.Operation)
		}
		_, method := reflect.TypeFor[*Control]().MethodByName(s.Operation)
		if offered := s.Level != NotOffered; method != offered {
			t.Errorf("%s is %s, and that it has a method is %v", s.Operation, s.Level, method)
		}
	}
	for name := range operations() {
		if !said[name] {
			t.Errorf("nothing is said of %s", name)
		}
	}
}

// TestFallback: every operation that is not offered answers with an empty list
// or an error of its model.
func TestFallback(t *testing.T) {
	w := newWorld(t, nil)
	codes := map[string]string{}
	for _, s := range Supported() {
		op := operations()[s.Operation]
		out, err := w.Fallback(t.Context(), wire.Caller{}, op, op.NewRequest())
		switch c := code(err); {
		case s.Level != NotOffered:
			if c != "UnknownOperationException" {
				t.Errorf("%s: got %v", s.Operation, err)
			}
		case err == nil:
			text, err := wire.Encode(out)
			if want := fmt.Sprintf(`{%q:[]}`, op.Result); err != nil || string(text) != want || reflect.TypeOf(out) != reflect.TypeOf(op.NewResponse()) {
				t.Errorf("%s: got %s (%v), want %s", s.Operation, text, err, want)
			}
			codes[s.Operation] = "[]"
		default:
			codes[s.Operation] = c
			if !slices.Contains(op.Errors, c) || !strings.HasSuffix(err.Error(), s.Differences) {
				t.Errorf("%s: got %v, and the model has %v", s.Operation, err, op.Errors)
			}
		}
	}
	for operation, want := range map[string]string{
		"ListProxies": "[]", "ListContainerAssociations": "[]", "CreateProxy": "UnsupportedOperationException", "CreateProxyRules": errInvalid,
		"DescribeProxy": errMissing, "DeleteContainerAssociation": errMissing, "UpdateProxySettings": errInvalid,
		"AcceptNetworkFirewallTransitGatewayAttachment": errMissing,
	} {
		if codes[operation] != want {
			t.Errorf("%s: got %s, want %s", operation, codes[operation], want)
		}
	}
}

// TestDocument: the table of docs/api.md is that of the code.
func TestDocument(t *testing.T) {
	const (
		path  = "../docs/api.md"
		begin = "<!-- operations: written by go test ./control -run TestDocument -update -->\n"
		end   = "<!-- end of operations -->\n"
	)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s lacks the lines\n%s%s", path, begin, end)
	}
	var table strings.Builder
	table.WriteString("\n| Operation | Level | Differences from AWS |\n|---|---|---|\n")
	for _, s := range Supported() {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", s.Operation, s.Level, s.Differences)
	}
	table.WriteString("\n")
	want := head + begin + table.String() + end + tail
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is stale: run go test ./control -run TestDocument -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
