// Package docs_test runs the console sessions of the documents, so that what they
// show is what happens.
package docs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	root = "../.."

	// within bounds the sessions of one document.
	within = 2 * time.Minute
)

// TestDocuments runs the marked blocks of each document, in order, in one shell
// and one fresh directory, with the sluice of this tree first on the PATH.
func TestDocuments(t *testing.T) {
	var documents []string
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, found...)
	}
	bin := ""
	for _, path := range documents {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := parseBlocks(string(text))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if len(blocks) == 0 {
			continue
		}
		if bin == "" {
			bin = build(t)
		}
		t.Run(filepath.Base(path), func(t *testing.T) { run(t, blocks, bin) })
	}
	if bin == "" {
		t.Skipf("none of the %d documents has a block marked <!-- run -->", len(documents))
	}
}

// build makes the sluice binary and returns its directory.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/sluice", "./cmd/sluice")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/sluice: %v\n%s", err, out)
	}
	return dir
}

var callsAWS = regexp.MustCompile(`(?m)^\s*aws `)

// run runs the blocks of a document.
func run(t *testing.T, blocks []block, bin string) {
	venv, err := filepath.Abs(filepath.Join(root, ".venv/bin"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel) // after the shell's
	sh := startShell(t, ctx, bin+":"+venv+":"+os.Getenv("PATH"))
	for _, b := range blocks {
		for _, s := range b.steps {
			if callsAWS.MatchString(s.command) {
				if _, err := os.Stat(filepath.Join(venv, "aws")); err != nil {
					if os.Getenv("CI") != "true" && os.Getenv("SLUICE_REQUIRE_CLIENTS") != "1" {
						t.Skipf("line %d calls the AWS CLI, which is not there: run make venv", b.line)
					}
					t.Fatalf("line %d calls the AWS CLI: %v: run make venv", b.line, err)
				}
			}
			printed, err := sh.run(s.command)
			if err != nil {
				t.Fatalf("line %d: $ %s: %v\n%s", b.line, s.command, err, printed)
			}
			if diff := differs(s.output, strings.Split(printed, "\n")); diff != "" {
				t.Errorf("line %d: $ %s: %s", b.line, s.command, diff)
			}
		}
		if b.ready != "" {
			if err := waitReady(ctx, b.ready); err != nil {
				t.Fatalf("line %d: %v", b.line, err)
			}
		}
	}
}

// waitReady waits until url answers 200.
func waitReady(ctx context.Context, url string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %s", resp.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", url, err)
		case <-time.After(20 * time.Millisecond): // nothing tells a client of a server to come
		}
	}
}

// shell is a bash that takes one command after the other.
type shell struct {
	in  *os.File // commands
	out *os.File // what they print, up to a NUL, the exit status and a NUL
	buf bytes.Buffer
}

// startShell starts bash in a fresh directory. What it leaves in the background
// is ended with the test.
func startShell(t *testing.T, ctx context.Context, path string) *shell {
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, "bash", "--noprofile", "--norc")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + path, "HOME=" + dir, "LANG=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER="}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, outW
	// A group of its own has what the commands leave in the background too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inR.Close()
	outW.Close()
	// A shell that hangs is killed with ctx; its end then ends run's read.
	context.AfterFunc(ctx, func() { outR.SetReadDeadline(time.Unix(1, 0)) })
	sh := &shell{in: inW, out: outR}
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
			t.Errorf("end what runs in the background: %v", err)
		}
		inW.Close()
		_ = cmd.Wait()
		// The background has the other end of the pipe open until it is gone.
		if _, err := io.Copy(io.Discard, outR); err != nil {
			t.Errorf("what runs in the background does not end: %v", err)
		}
		outR.Close()
	})
	return sh
}

// run runs one command and returns what it printed. One that goes to the
// background prints into a file, background.log.
func (s *shell) run(command string) (string, error) {
	text := command
	if c, ok := strings.CutSuffix(strings.TrimSpace(command), "&"); ok && !strings.HasSuffix(c, "&") {
		text = c + " 9>&1 >>background.log 2>&1 </dev/null &" // 9 shows when it is gone
	} else {
		text = "{ " + command + "\n} </dev/null"
	}
	if _, err := fmt.Fprintf(s.in, "%s\nprintf '\\0%%d\\0' $?\n", text); err != nil {
		return "", err
	}
	printed, err := s.next()
	if err != nil {
		return printed, err
	}
	status, err := s.next()
	if err == nil && status != "0" {
		err = fmt.Errorf("exit status %s", status)
	}
	return printed, err
}

// next reads up to a NUL.
func (s *shell) next() (string, error) {
	chunk := make([]byte, 4096)
	for {
		if text, rest, ok := bytes.Cut(s.buf.Bytes(), []byte{0}); ok {
			out := string(text)
			s.buf.Next(s.buf.Len() - len(rest))
			return out, nil
		}
		n, err := s.out.Read(chunk)
		s.buf.Write(chunk[:n])
		if err != nil {
			return s.buf.String(), err
		}
	}
}

func TestParseBlocks(t *testing.T) {
	document := "# T\n\n```console\n$ not run\n```\n<!-- run: ready http://x/ -->\n```console\n$ cat > a <<E\n> one\n>\n> E\n$ cat a\none\n\n> not a line of the command\n```\n"
	got, err := parseBlocks(document)
	if err != nil {
		t.Fatal(err)
	}
	want := []block{{line: 8, ready: "http://x/", steps: []step{
		{command: "cat > a <<E\none\n\nE"},
		{command: "cat a", output: []string{"one", "", "> not a line of the command"}},
	}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(block{}, step{})); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		"<!-- run -->\n```sh\n$ x\n```", "<!-- run -->\n```console\n```", "<!-- run -->\n```console\n$ x",
		"<!-- run -->\n```console\nx\n```", "<!-- runs -->\n", "<!-- run -->",
	} {
		if _, err := parseBlocks(bad); err == nil {
			t.Errorf("%q parses", bad)
		}
	}
}

func TestDiffers(t *testing.T) {
	for _, tc := range []struct {
		document, printed string
		same              bool
	}{
		{"", "", true},
		{"", "x", false},
		{"x", "", false},
		{"a  b\n", "a b", true},
		{"a b", "a c", false},
		{"took 1.5ms", "took 12s", true},
		{"12 flows", "13 flows", false},
		{"0af3c3a8-0000-4000-8000-0123456789ab", "1af3c3a8-0000-4000-8000-0123456789ab", true},
		{"at 2026-11-01T10:00:00Z", "at 2026-12-01T10:00:01.5Z", true},
		{"...", "a\nb", true},
		{"...", "", true},
		{"a\n...\nz", "a\nb\nc\nz", true},
		{"a\n...\nz", "a\nb\nc", false},
		{"a ... z", "a b c z", true},
		{"a ...", "a b", true},
		{"a ...", "b", false},
		{"... z", "a z y", false},
	} {
		diff := differs(strings.Split(tc.document, "\n"), strings.Split(tc.printed, "\n"))
		if (diff == "") != tc.same {
			t.Errorf("differs(%q, %q) = %q", tc.document, tc.printed, diff)
		}
	}
}

func TestShell(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel) // after the shell's
	sh := startShell(t, ctx, os.Getenv("PATH"))
	for _, tc := range []struct {
		command, printed string
		fails            bool
	}{
		{command: "x=5; cat > a <<E\none\nE"},
		{command: "cat a; echo $x >&2", printed: "one\n5\n"},
		{command: "false", fails: true},
		{command: "sleep 1000 &"},
		{command: "cat", printed: ""},
	} {
		printed, err := sh.run(tc.command)
		if printed != tc.printed || (err != nil) != tc.fails {
			t.Errorf("$ %s: %q, %v", tc.command, printed, err)
		}
	}
}
