package detect

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/applayer/parsers"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/rule"
)

// TestFileSizes: of a file that may still grow only what has no upper end can be said.
func TestFileSizes(t *testing.T) {
	for _, test := range []struct {
		want     rule.Numbers
		size     uint64
		is, open bool
	}{
		{rule.Numbers{From: 10, To: 10}, 10, true, false},
		{rule.Numbers{To: 10}, 10, true, false},
		{rule.Numbers{From: 10, To: math.MaxUint64}, 10, true, true},
		{rule.Numbers{From: 11, To: math.MaxUint64}, 10, false, false},
		{rule.Numbers{From: 11, To: math.MaxUint64, Negated: true}, 10, true, false},
	} {
		is, open := sizeIn(test.want, &file.File{Size: test.size, State: file.Closed}), sizeIn(test.want, &file.File{Size: test.size})
		if is != test.is || open != test.open || sizeIn(test.want, &file.File{Size: test.size, State: file.Truncated}) != open {
			t.Errorf("%d in %+v: %v, while open %v; want %v, %v", test.size, test.want, is, open, test.is, test.open)
		}
	}
}

func TestReadHashes(t *testing.T) {
	const a, b = "d41d8cd98f00b204e9800998ecf8427e", "0CC175B9C0F1B6A831C399E269772661"
	list, err := readHashes(strings.NewReader("# a list\n\n"+a+"  empty.txt\r\n "+a[:4]+"\n"+b+"\n"+b), 16)
	want, _ := hex.DecodeString(b)
	if err != nil || len(list) != 2 || !list.has(want) || list.has(make([]byte, 16)) {
		t.Errorf("%d digests, %v", len(list), err)
	}
	for _, text := range []string{a[:31], a[:31] + "g", a + "\nx", strings.Repeat("a", 1<<17)} {
		if _, err := readHashes(strings.NewReader(text), 16); err == nil {
			t.Errorf("%.40q is taken", text)
		}
	}
}

// compileFiles compiles one rule.
func compileFiles(t *testing.T, opt Options, text string) (*RuleSet, error) {
	t.Helper()
	r, err := rule.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return Compile([]Source{{Rule: r, Lookup: noVariables{}}}, opt)
}

// follow gives the turns of a conversation to parsers and what they find to rules, and returns the sids that match.
func follow(t *testing.T, set *RuleSet, turns ...apptest.Turn) string {
	t.Helper()
	pool := applayer.NewPool(1<<20, parsers.New)
	pool.Digests = set.NeedsDigests()
	session := pool.Get()
	session.Reset(packet.ProtoTCP, 1000, 25)
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.PSH|packet.ACK, 1, 1, nil))
	var sids []string
	take := func() {
		for ev := (applayer.Event{}); session.Next(&ev); {
			if ev.Hook == applayer.TxDone || ev.Hook == applayer.FileDone {
				continue
			}
			res := &Result{}
			set.Event(&Input{Packet: p, Dir: ev.Dir, App: session.Proto()}, ev, res)
			set.Decide(&Input{Packet: p}, res)
			for _, sid := range alerts(set, res) {
				sids = append(sids, fmt.Sprint(sid))
			}
		}
	}
	var held [2][]byte // until there is enough to recognise the protocol
	say := func(dir packet.Dir) {
		for n := -1; n != 0 && len(held[dir]) > 0; held[dir] = held[dir][n:] {
			n = session.Data(dir, held[dir])
			take()
		}
	}
	for _, tn := range turns {
		held[tn.Dir] = append(held[tn.Dir], tn.Data...)
		if say(tn.Dir); session.Opposing(tn.Dir) {
			say(tn.Dir.Reverse())
			say(tn.Dir)
		}
		session.Release()
	}
	for dir := range packet.Dir(2) {
		session.End(dir)
		take()
	}
	return strings.Join(sids, " ")
}

// TestFileKeywords looks at a file that a client downloads, two that it uploads, and two that are sent by mail.
func TestFileKeywords(t *testing.T) {
	const page, one, two = "a page to download", "the first file", "the second, longer file"
	files := memoryFiles{"other": strings.Repeat("0", 64) + "\n"}
	for name, text := range map[string]string{"page": page, "one": one, "two": two} {
		files[name+".md5"] = fmt.Sprintf("%x  %s\n", md5.Sum([]byte(text)), name)
		files[name+".sha1"] = fmt.Sprintf("%X\n", sha1.Sum([]byte(text)))
		files[name+".sha256"] = fmt.Sprintf("%x\n", sha256.Sum256([]byte(text)))
	}
	download := []apptest.Turn{apptest.C("GET /page.html HTTP/1.1\r\nHost: h\r\n\r\n"), apptest.S(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(page), page))}
	cut := []apptest.Turn{download[0], apptest.S("HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n" + strings.Repeat("x", 150000))} // bodies are taken in to 100 kB
	const part = "--b\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n\r\n%s\r\n"
	body := fmt.Sprintf(part+part+"--b--\r\n", "x", "One.TXT", one, "y", "two.doc", two)
	upload := []apptest.Turn{apptest.C(fmt.Sprintf("POST /form HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s", len(body), body)),
		apptest.S("HTTP/1.1 204 No Content\r\n\r\n")}
	mail := []apptest.Turn{apptest.S("220 mail.example.com ESMTP\r\n"), apptest.C("HELO b\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"), apptest.S("250 a\r\n250 b\r\n250 c\r\n354 d\r\n"),
		apptest.C("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + fmt.Sprintf(part+part+"--b--\r\n.\r\n", "x", "One.TXT", one, "y", "two.doc", two))}

	for _, test := range []struct {
		proto, options       string
		download, up, mailed bool
	}{
		{"http", `filemd5:page.md5;`, true, false, false},
		{"http", `filemd5:!page.md5;`, false, true, false},
		{"http", `filesha1:page.sha1;`, true, false, false},
		{"http", `filesha256:page.sha256;`, true, false, false},
		{"http", `filesha256:!other;`, true, true, false},
		{"http", `filesha256:other;`, false, false, false},
		{"tcp", `filemd5:two.md5;`, false, true, true},
		{"tcp", `filemd5:!two.md5; filesize:23;`, false, false, false}, // one file, all that is asked of it
		{"tcp", `filemd5:!two.md5; filesize:14;`, false, true, true},
		{"http", `flow:to_client; filesize:18;`, true, false, false},
		{"http", `flow:to_server; filesize:18;`, false, false, false},
		{"http", `http.uri; content:"/form"; filesha1:one.sha1;`, false, true, false},
		{"http", `filename:"one"; filesha1:one.sha1;`, false, true, false},
		{"smtp", `filename:"one"; filesha1:one.sha1;`, false, false, true},
		{"smtp", `fileext:"doc";`, false, false, true},
		{"smtp", `fileext:"pdf";`, false, false, false},
		{"smtp", `file.name; content:"two.doc"; startswith; endswith; filesize:>20;`, false, false, true},
		{"smtp", `file.data; content:"the second"; startswith; content:"file"; endswith;`, false, false, true},
		{"smtp", `file.data; content:"first"; filesize:14;`, false, false, true},
		{"smtp", `filesize:15;`, false, false, false},
		{"tcp", `file.data; content:"file"; endswith;`, false, true, true},
	} {
		set, err := compileFiles(t, Options{Files: files}, fmt.Sprintf("alert %s any any -> any any (%s sid:1;)", test.proto, test.options))
		if err != nil {
			t.Errorf("%s: %v", test.options, err)
			continue
		}
		for _, c := range []struct {
			name  string
			turns []apptest.Turn
			want  bool
		}{{"download", download, test.download}, {"upload", upload, test.up}, {"mail", mail, test.mailed}} {
			want := ""
			if c.want {
				want = "1"
			}
			if got := follow(t, set, c.turns...); got != want {
				t.Errorf("%s: %s: alerts %q, want %q", c.name, test.options, got, want)
			}
		}
		if strings.Contains(test.options, "md5") || strings.Contains(test.options, "sha") {
			if got := follow(t, set, cut...); got != "" {
				t.Errorf("%s matches a file that was cut off", test.options)
			}
		}
	}
}

func TestFileListsAreRefused(t *testing.T) {
	files := memoryFiles{"bad": "no digest\n"}
	for options, says := range map[string]string{
		`filemd5:absent;`: "filemd5: file does not exist",
		`filesha1:bad;`:   "filesha1: bad: line 1: it does not begin with a digest of 40 hexadecimal digits",
		`filemd5:!bad;`:   "filemd5: bad: line 1",
	} {
		_, err := compileFiles(t, Options{Files: files}, "alert tcp any any -> any any ("+options+" sid:1;)")
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", options, err, says)
		}
	}
	if _, err := compileFiles(t, Options{}, `alert http any any -> any any (filemd5:list; sid:1;)`); err == nil || !strings.Contains(err.Error(), "rules read no files here") {
		t.Errorf("without files: %v", err)
	}
	r, err := rule.Parse(`alert http any any -> any any (filemd5:list; sid:1;)`)
	if err != nil || Check(r, noVariables{}, Options{}) != nil {
		t.Errorf("checking a rule alone: %v, %v", err, Check(r, noVariables{}, Options{}))
	}
}
