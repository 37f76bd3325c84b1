package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGeneratedFilesAreCurrent fails when the models or the generator changed
// and "go generate ./awsapi/wire" was not run.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := generate(".")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		dir := ".."
		if name == dispatchFile {
			dir = filepath.Join("..", "..")
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate ./awsapi/wire", name)
		}
	}
}

func TestModelCheck(t *testing.T) {
	for name, m := range map[string]model{
		"input name":    {Operations: map[string]operation{"A": {Input: "B", Output: "AResponse"}}},
		"output name":   {Operations: map[string]operation{"A": {Input: "ARequest", Output: "B"}}},
		"token name":    {Paginators: map[string]paginator{"A": {InputToken: "Marker", OutputToken: "NextToken", LimitKey: "MaxResults"}}},
		"pattern":       {Shapes: map[string]shape{"S": {Type: "string", Pattern: `(?<=a)b`}}},
		"list of lists": {Shapes: map[string]shape{"S": {Type: "list", Member: ref{"S"}}}},
		"map of lists":  {Shapes: map[string]shape{"L": {Type: "list"}, "M": {Type: "map", Value: ref{"L"}}}},
		"type":          {Shapes: map[string]shape{"S": {Type: "union"}}},
	} {
		if m.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCamel(t *testing.T) {
	for in, want := range map[string]string{"DROP_TO_ALERT": "DropToAlert", "IPV4": "Ipv4", "CloudWatchLogs": "CloudWatchLogs", "S3": "S3"} {
		if got := camel(in); got != want {
			t.Errorf("camel(%q) = %q, want %q", in, got, want)
		}
	}
}
