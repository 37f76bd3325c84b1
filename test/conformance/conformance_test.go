// Package conformance_test holds the API against its model: whatever the model
// allows is understood, and whatever it forbids is refused in AWS's words. The
// requests are boto3's, from the virtual environment that "make venv" makes.
package conformance_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicefw/sluice/onebox"
)

const table = "../../docs/conformance.md"

var update = flag.Bool("update", false, "write "+table)

// within bounds the whole run.
const within = 3 * time.Minute

// python returns the interpreter of the virtual environment. Without it the test
// is skipped, unless the environment says that it must run.
func python(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../.venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("SLUICE_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("%v: run make venv", err)
		}
		t.Skipf("boto3 is not installed (%v): run make venv", err)
	}
	return path
}

func TestConformance(t *testing.T) {
	interpreter := python(t)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	box, err := onebox.Start(ctx, onebox.Options{Dir: t.TempDir(), Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()

	cmd := exec.CommandContext(ctx, interpreter, "conformance.py")
	cmd.Env = []string{
		"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "TMPDIR=" + t.TempDir(),
		"AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=dev", "AWS_SECRET_ACCESS_KEY=dev", "AWS_EC2_METADATA_DISABLED=true",
		"SLUICE_URL=" + box.URL(),
	}
	var page, failures bytes.Buffer
	cmd.Stdout, cmd.Stderr = &page, &failures
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s\n%s", err, failures.Bytes(), page.Bytes())
		return
	}
	t.Logf("\n%s", page.Bytes())
	if *update {
		if err := os.WriteFile(table, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), page.String()); d != "" {
		t.Errorf("%s is stale (-it, +the API): run go test ./test/conformance -update\n%s", table, d)
	}
}
