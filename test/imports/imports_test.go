// Package imports_test keeps the layout's arrows true: who may import whom, that
// every package says what it is, and that test helpers stay out of the product.
package imports_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sluicefw/sluice"

// layout says what each package may import beside the standard library: other
// packages of the module by their folder, foreign modules by the beginning of
// their path. A package imports only what stands above it. "x/..." is x and
// everything below it. The tests of a package are not held to it.
var layout = []struct{ pkg, imports string }{
	{"internal/packettest", ""},
	{"internal/netns", "golang.org/x/sys/"},
	{"internal/certificate", ""},
	{"internal/mmdbtest", ""},

	// Packets, left to right.
	{"engine/packet", ""},
	{"engine/flow", "engine/packet"},
	{"engine/defrag", "engine/packet"},
	{"engine/stream", "engine/packet"},
	{"engine/applayer/dnswire", ""},
	{"engine/applayer/file", ""},
	{"engine/applayer", "engine/packet engine/applayer/dnswire engine/applayer/file"},
	{"engine/applayer/dns", "engine/packet engine/applayer engine/applayer/dnswire"},
	{"engine/applayer/inflate", ""},
	{"engine/applayer/http", "engine/packet engine/applayer engine/applayer/file engine/applayer/inflate"},
	{"engine/applayer/http2", "engine/packet engine/applayer engine/applayer/file engine/applayer/http engine/applayer/inflate golang.org/x/net/http2/hpack"},
	{"engine/applayer/apptest", "engine/packet engine/applayer"},
	{"engine/applayer/sip", "engine/packet engine/applayer"},
	{"engine/applayer/ssh", "engine/packet engine/applayer golang.org/x/crypto/cryptobyte"},
	{"engine/applayer/mqtt", "engine/packet engine/applayer golang.org/x/crypto/cryptobyte"},
	{"engine/applayer/dcerpc", "engine/packet engine/applayer"},
	{"engine/applayer/smb", "engine/packet engine/applayer engine/applayer/dcerpc engine/applayer/file golang.org/x/crypto/cryptobyte"},
	{"engine/applayer/ftp", "engine/packet engine/applayer"},
	{"engine/applayer/smtp", "engine/packet engine/applayer engine/applayer/file"},
	{"engine/applayer/tls", "engine/packet engine/applayer golang.org/x/crypto/cryptobyte"},
	{"engine/applayer/parsers", "engine/applayer engine/applayer/..."},
	{"rule", ""},
	{"engine/stateless", "engine/packet"},
	{"engine/pcre", ""},
	{"engine/detect", "engine/packet engine/flow engine/stream engine/applayer engine/applayer/file engine/stateless engine/pcre rule"},
	{"engine/reputation", "engine/packet"},
	{"engine/setfiles", ""},
	{"engine/geoip", "engine/packet github.com/oschwald/maxminddb-golang/"},
	{"eve", "engine/packet engine/flow engine/applayer engine/applayer/... engine/detect"},
	{"metrics", "github.com/prometheus/"},
	{"pktio", "engine/packet"},
	{"pktio/pcap", "pktio engine/packet"},
	{"pktio/nfqueue", "pktio engine/packet golang.org/x/sys/"},
	{"pktio/netstack", "pktio engine/packet gvisor.dev/gvisor/"},
	{"engine", "engine/packet engine/defrag engine/flow engine/stream engine/applayer engine/applayer/parsers engine/stateless engine/detect pktio eve metrics"},

	{"delivery", "eve github.com/aws/"},

	// What the operator wants, from below.
	{"awsapi/wire/gen", "github.com/go-json-experiment/json"},
	{"awsapi/wire", "github.com/go-json-experiment/json"},
	{"policy", "awsapi/wire rule engine/packet engine/stateless engine/detect"},
	{"store", "go.etcd.io/ go.uber.org/zap google.golang.org/grpc/"},
	{"resource", "awsapi/wire"},
	{"iam", "awsapi/wire resource store github.com/go-json-experiment/json"},
	{"node", "awsapi/wire resource store engine engine/defrag engine/packet engine/flow engine/stream engine/applayer engine/detect engine/setfiles pktio policy eve metrics delivery github.com/prometheus/"},
	{"control", "awsapi/wire resource store policy iam github.com/google/uuid"},
	{"audit", "awsapi/wire eve resource store github.com/google/uuid"},
	{"awsapi/sigv4", "awsapi/wire"},
	{"awsapi/credentials", ""},
	{"awsapi", "awsapi/wire awsapi/sigv4 iam audit control github.com/google/uuid"},
	{"awsapi/client", "awsapi/wire github.com/aws/"},

	// Wiring: these name drivers.
	{"internal/hosts", "pktio/netstack golang.org/x/net/dns/"},
	{"config", "engine/defrag engine/stream pktio/... go.yaml.in/yaml/"},
	{"supervise", ""},
	{"cli", "awsapi/wire awsapi/client iam rule policy engine engine/... pktio pktio/pcap eve github.com/spf13/cobra golang.org/x/sys/"},
	{"onebox", "awsapi awsapi/wire control iam audit metrics node policy resource store"},
	{"demo", "internal/hosts cli node onebox pktio pktio/netstack github.com/aws/ github.com/prometheus/ github.com/spf13/cobra"},
	{"cmd/sluice", "... github.com/ golang.org/"},
	{"test/...", "... github.com/ golang.org/"},
}

// testOnly are modules that the product must not contain.
var testOnly = []string{
	"github.com/gopacket/gopacket", "github.com/google/go-cmp", "pgregory.net/rapid",
}

// pkg is what is needed of go list's answer.
type pkg struct {
	Dir, ImportPath, Name, Doc         string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
}

// folder is the package's place in the module; "" is the root.
func folder(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// packages lists the module.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=Dir,ImportPath,Name,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list's answer: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages: the module has more", len(all))
	}
	return all
}

// matches reports whether a pattern of layout means folder.
func matches(pattern, folder string) bool {
	prefix, tree := strings.CutSuffix(pattern, "...")
	if !tree {
		return pattern == folder
	}
	return strings.HasPrefix(folder+"/", prefix)
}

// mayImport reports whether an entry of layout allows an import.
func mayImport(allowed, path string) bool {
	ours := path == module || strings.HasPrefix(path, module+"/")
	if !ours && !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(strings.Fields(allowed), func(a string) bool {
		if ours {
			return matches(a, folder(path))
		}
		return strings.HasPrefix(path+"/", strings.TrimSuffix(a, "/")+"/")
	})
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		i := slices.IndexFunc(layout, func(row struct{ pkg, imports string }) bool { return matches(row.pkg, folder(p.ImportPath)) })
		if i < 0 {
			t.Errorf("%s has no line in layout: say above what it may stand", folder(p.ImportPath))
			continue
		}
		for _, path := range p.Imports {
			if !mayImport(layout[i].imports, path) {
				t.Errorf("%s imports %s; it may import only %q", folder(p.ImportPath), strings.TrimPrefix(path, module+"/"), layout[i].imports)
			}
		}
	}
}

// TestLayoutIsOrdered: no line allows what stands below it, so that the table
// has no circle and reads downward.
func TestLayoutIsOrdered(t *testing.T) {
	for i, row := range layout {
		for _, a := range strings.Fields(row.imports) {
			for _, below := range layout[i+1:] {
				if a != "..." && matches(a, below.pkg) {
					t.Errorf("%s may import %s, which stands below it", row.pkg, below.pkg)
				}
			}
		}
	}
}

func TestNoTestModulesInProduct(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			if !matches("test/...", folder(p.ImportPath)) && slices.ContainsFunc(testOnly, func(m string) bool { return strings.HasPrefix(path+"/", m+"/") }) {
				t.Errorf("%s imports %s, which is for tests", folder(p.ImportPath), path)
			}
		}
	}
}

func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		doc := p.Doc
		if doc == "" { // go list looks at none of the test files
			doc = docOf(t, p.Dir, slices.Concat(p.TestGoFiles, p.XTestGoFiles))
		}
		want := []string{"Package " + p.Name + " "}
		if len(p.GoFiles) == 0 {
			want = append(want, "Package "+p.Name+"_test ")
		}
		if p.Name == "main" {
			base := filepath.Base(p.Dir)
			want = []string{"Command " + base + " ", strings.ToUpper(base[:1]) + base[1:] + " "}
		}
		if !slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(doc, w) }) {
			t.Errorf("%s: the package comment is %q; it must begin with %q", folder(p.ImportPath), strings.TrimSpace(doc), want)
		}
	}
}

// docOf returns the first package comment among files.
func docOf(t *testing.T, dir string, files []string) string {
	t.Helper()
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			return f.Doc.Text()
		}
	}
	return ""
}

// TestMayImport: the checks above must be able to fail.
func TestMayImport(t *testing.T) {
	for _, tc := range []struct {
		allowed, path string
		want          bool
	}{
		{"", "net/netip", true},
		{"", module + "/rule", false},
		{"engine/packet", module + "/engine/packet", true},
		{"engine", module + "/engine/packet", false},
		{"engine/...", module + "/engine/packet", true},
		{"engine/...", module + "/engine", true},
		{"engine/...", module + "/enginex", false},
		{"github.com/prometheus/", "github.com/prometheus/client_golang/prometheus", true},
		{"github.com/google/uuid", "github.com/google/uuid", true},
		{"github.com/google/uuid", "github.com/google/go-cmp/cmp", false},
		{"...", module + "/rule", true},
		{"...", "github.com/google/go-cmp/cmp", false},
	} {
		if got := mayImport(tc.allowed, tc.path); got != tc.want {
			t.Errorf("mayImport(%q, %q) = %v", tc.allowed, tc.path, got)
		}
	}
}
