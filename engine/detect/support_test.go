package detect

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/rule"
)

var update = flag.Bool("update", false, "write the table of keywords into docs/compatibility.md")

// keywordTable lists every keyword of the language and whether rules may use it.
func keywordTable() string {
	var b strings.Builder
	supported, all := 0, rule.Keywords()
	var rows strings.Builder
	for _, kw := range all {
		yes := ""
		if Supports(kw.Name) {
			yes = "yes"
			supported++
		}
		names := "`" + kw.Name + "`"
		for _, alias := range kw.Aliases {
			names += ", `" + alias + "`"
		}
		fmt.Fprintf(&rows, "| %s | %s |\n", names, yes)
	}
	fmt.Fprintf(&b, "%d of %d keywords are supported.\n\n| Keyword | Supported |\n|---|---|\n%s", supported, len(all), rows.String())
	return b.String()
}

const (
	tableBegin = "<!-- keywords: written by go test ./engine/detect -run TestCompatibilityTable -update -->\n"
	tableEnd   = "<!-- end of keywords -->"
)

func TestCompatibilityTable(t *testing.T) {
	const path = "../../docs/compatibility.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	table, after, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table: %s and %s", path, tableBegin, tableEnd)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+tableBegin+keywordTable()+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != keywordTable() {
		t.Errorf("the table in %s is stale; run go test ./engine/detect -run TestCompatibilityTable -update", path)
	}
}

// TestSupports checks the list against the compiler: what is not on it is
// refused by its name, and what is on it is not.
func TestSupports(t *testing.T) {
	for _, kw := range rule.Keywords() {
		for _, arg := range []string{"", ":1", `:"x"`, ":S", ":M", ":any", ":1,0", ":1,0,n", ":isset,num", ":num,isset", ":client_hello", ":set,num,track ip_src", ":tls",
			":established", ":1,=,1,0", ":bytes 1,offset 0,oper +,rvalue 1,result num", `:"/x/"`, ":a,b", `:"(x)"`,
			":type limit,track by_src,count 1,seconds 1", ":track by_src,count 1,seconds 1", ":rr", ":info x", ":session", ":any,a,isset"} {
			text := fmt.Sprintf("alert ip any any -> any any (%s%s; sid:1;)", kw.Name, arg)
			switch kw.Kind {
			case rule.KindStickyBuffer, rule.KindTransform:
				before := ""
				if kw.Kind == rule.KindTransform {
					before = "tls.sni; "
				}
				text = fmt.Sprintf(`alert ip any any -> any any (%s%s%s; content:"xyz"; sid:1;)`, before, kw.Name, arg)
			case rule.KindModifier, rule.KindBufferModifier:
				text = fmt.Sprintf(`alert ip any any -> any any (content:"x"; %s%s; sid:1;)`, kw.Name, arg)
			}
			if kw.Name == "bsize" {
				text = `alert ip any any -> any any (tls.sni; bsize:1; sid:1;)`
			}
			r, err := rule.Parse(strings.Replace(text, "xyz", "x", 1))
			if err != nil {
				continue
			}
			err = Check(r, noVariables{}, Options{})
			refused := err != nil && (strings.Contains(err.Error(), fmt.Sprintf("%q is known, but not supported here", kw.Name)) || strings.Contains(err.Error(), fmt.Sprintf("buffer %q", kw.Buffer)))
			if refused == Supports(kw.Name) {
				t.Errorf("%s: supported %v, but %v", text, Supports(kw.Name), err)
			}
			break
		}
	}
}
