package node

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/setfiles"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
)

const (
	// markEcho remembers the servers that a client has said mark to, and blocks another client of theirs
	// that says hello. It keeps what it remembers in memory.
	markEcho = `alert tcp any any -> any 7 (flow:established,to_server; content:"mark"; ip.dst; dataset:set,marked,type ipv4; sid:1;)` + "\n" +
		`drop tcp any any -> any 7 (flow:established,to_server; content:"hello"; ip.dst; dataset:isset,marked; sid:2;)`
)

// keepEcho is markEcho with a file.
var keepEcho = strings.Replace(markEcho, "type ipv4", "type ipv4,state seen/marked.lst", 1)

// withDataSets lets rules use data sets in dir, saved every few milliseconds.
func withDataSets(dir string) func(*Options) {
	return func(o *Options) {
		o.Rules, o.DataSetsDir, o.DataSetsEvery = policy.RuleOptions{BeyondAWS: true}, dir, 10*time.Millisecond
	}
}

// mark connects to the echo server and says mark.
func (r *rig) mark() {
	r.Helper()
	c, err := r.dial(echo)
	if err == nil {
		c.SetDeadline(time.Now().Add(within))
		_, err = io.WriteString(c, "mark\n")
	}
	if err == nil {
		_, err = c.in.ReadString('\n')
	}
	if err != nil {
		r.Fatalf("mark: %v", err)
	}
}

// blocked says that a new connection to the echo server gets no answer, and one to the other does.
func (r *rig) blocked(when string) {
	r.Helper()
	c, err := r.dial(echo)
	if err == nil {
		err = c.silent()
	}
	if err != nil {
		r.Errorf("%s: the marked server is not blocked: %v", when, err)
	}
	r.connect(other)
}

// awaitFile waits until a file has this content.
func (r *rig) awaitFile(path, want string) {
	r.Helper()
	var text []byte
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, _ = os.ReadFile(path); string(text) == want {
			return
		}
	}
	r.Fatalf("%s has %q, want %q", path, text, want)
}

// What data sets hold lives on while rules are replaced under traffic.
func TestDataSetsOutliveRules(t *testing.T) {
	r := start(t, withDataSets(t.TempDir()))
	r.putAll(markEcho)
	busy := r.connect(other)
	ended := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if err := busy.exchange(); err != nil {
				ended <- err
				return
			}
		}
	}()
	r.mark()
	r.blocked("at first")
	for _, token := range []string{"g2", "g3", "g4"} {
		r.putGroup(token, markEcho+"\n"+strings.Replace(passAll, "sid:1", "msg:\""+token+"\"; sid:3", 1))
		r.awaitTokens("p1", token)
	}
	// Of the last rules, pass decides; without it the set does again.
	r.putGroup("g5", markEcho)
	r.awaitTokens("p1", "g5")
	r.blocked("after four changes of rules")
	close(stop)
	if err := <-ended; err != nil {
		t.Errorf("the connection beside them: %v", err)
	}
	r.putGroup("g6", strings.Replace(markEcho, "marked,type ipv4", "marked,type ip", 1))
	r.awaitTokens("p1", "g6")
	r.connect(echo) // another definition is another set
}

// Data sets with state are saved while the node runs and when it stops, and read when one starts.
func TestDataSetsAreSaved(t *testing.T) {
	dir := t.TempDir()
	t.Run("run", func(t *testing.T) {
		r := start(t, withDataSets(dir))
		r.putAll(keepEcho)
		r.mark()
		r.awaitFile(filepath.Join(dir, "@saved", "f", "seen", "marked.lst"), "198.51.100.7\n")
	})
	t.Run("again", func(t *testing.T) {
		r := start(t, withDataSets(dir))
		r.putAll(keepEcho)
		r.blocked("after a restart")
	})
	dir = t.TempDir()
	t.Run("stop", func(t *testing.T) {
		r := start(t, withDataSets(dir), func(o *Options) { o.DataSetsEvery = time.Hour })
		r.putAll(keepEcho)
		r.mark()
	})
	if text, err := os.ReadFile(filepath.Join(dir, "@saved", "f", "seen", "marked.lst")); err != nil || string(text) != "198.51.100.7\n" {
		t.Errorf("after the end the file has %q, %v", text, err)
	}
	t.Run("retired", func(t *testing.T) {
		dir := t.TempDir()
		r := start(t, withDataSets(dir), func(o *Options) { o.DataSetsEvery = time.Hour })
		r.putAll(keepEcho)
		r.mark()
		if err := r.store.Delete(r.ctx, scope.Firewall("f")); err != nil {
			t.Fatal(err)
		}
		r.awaitFile(filepath.Join(dir, "@saved", "f", "seen", "marked.lst"), "198.51.100.7\n")
	})
}

// A list that the operator provides is the beginning of a set of its name; it is never written.
func TestDataSetsBeginAsLists(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "seen", "marked.lst")
	if err := os.Mkdir(filepath.Dir(list), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte("198.51.100.7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, withDataSets(dir))
	r.putAll(keepEcho)
	r.blocked("with a list")
	r.putGroup("g2", strings.Replace(keepEcho, "marked.lst", "nowhere.lst", 1)+"\n"+`alert dns any any -> any any (dns.query; dataset:isset,names,type string,load nowhere.lst; sid:4;)`)
	if s := r.awaitSync(func(s resource.Sync) bool { return s.Error != "" }); !strings.Contains(s.Error, `read data set "names"`) {
		t.Errorf("the node reports %q", s.Error)
	}
	r.blocked("with rules that cannot be in force")
}

func TestDataSetsThatCannotBeSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, withDataSets(dir))
	r.putAll(strings.Replace(markEcho, "type ipv4", "type ipv4,save marked.lst", 1))
	r.mark()
	fw := r.node.all()[0]
	for end := time.Now().Add(within); fw.setsFailed.Load() < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the failure is not counted")
		}
	}
	r.blocked("while nothing can be saved")
	if fw.setsSaved.Load() != 0 {
		t.Error("a file counts as written")
	}
}

// The sets of other accounts are in a directory of their own, which no name leads out of.
func TestDataSetsOfAccounts(t *testing.T) {
	n := &Node{opt: Options{Scope: scope, DataSetsDir: "/sets"}}
	for _, tc := range []struct {
		id         resource.FirewallID
		lists, own string
	}{
		{resource.FirewallID{Account: scope.Account, Name: "f"}, "/sets", "/sets/@saved/f"},
		{resource.FirewallID{Account: "210987654321", Name: "f"}, "/sets/@210987654321", "/sets/@210987654321/@saved/f"},
	} {
		if got, want := n.setFiles(tc.id), (setFiles{setfiles.Dir(tc.lists), setfiles.Dir(tc.own)}); got != want {
			t.Errorf("%v: %v, want %v", tc.id, got, want)
		}
	}
	n.opt.DataSetsDir = ""
	if got := n.setFiles(resource.FirewallID{Account: scope.Account, Name: "f"}); got != nil {
		t.Errorf("files without a directory: %v", got)
	}
}

// A file that cannot be read does not keep a node that starts from all of its rules. They are in force
// without it, the report says so, and it is read as soon as it can be. What it holds is not saved over.
func TestRulesWithoutTheirFiles(t *testing.T) {
	dir := t.TempDir()
	saved := filepath.Join(dir, "@saved", "f", "seen", "marked.lst")
	if err := os.MkdirAll(filepath.Dir(saved), 0o750); err != nil {
		t.Fatal(err)
	}
	const damaged = "192.0.2.99\nno address\n"
	if err := os.WriteFile(saved, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, withDataSets(dir))
	r.putGroup("g1", keepEcho+"\n"+`alert dns any any -> any any (dns.query; dataset:isset,names,type string,load names.lst; sid:3;)`+
		"\n"+`alert http any any -> any any (filemd5:gone.md5; sid:4;)`)
	r.putPolicy("p1", nil)
	r.putFirewall()
	if s := r.awaitSync(func(s resource.Sync) bool { return s.Error != "" }); !strings.Contains(s.Error, "stateful-rulegroup/g: sid 1: line 1, column 81: seen/marked.lst: line 2") || s.Generation == 0 {
		t.Errorf("the node reports %+v", s)
	}
	r.mark()
	r.blocked("without files")
	time.Sleep(50 * time.Millisecond) // five times as long as between saves
	r.awaitFile(saved, damaged)

	names := filepath.Join(dir, "names.lst")
	if err := os.WriteFile(saved, []byte("198.51.100.7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := r.awaitSync(func(s resource.Sync) bool { return strings.Contains(s.Error, "names") }); !strings.Contains(s.Error, dir) {
		t.Errorf("it is not told where the file is looked for: %q", s.Error)
	}
	if err := os.WriteFile(names, []byte("ZXZpbA==\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.awaitSync(func(s resource.Sync) bool { return strings.Contains(s.Error, "gone.md5") })
	if err := os.WriteFile(filepath.Join(dir, "gone.md5"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.awaitSync(func(s resource.Sync) bool { return s.Error == "" })
	r.blocked("with its files")
}
