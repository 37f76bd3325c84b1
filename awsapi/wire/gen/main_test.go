package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
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

// TestNewer takes from a newer service description what the models lack: it is
// data that generates without a change of code.
func TestNewer(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"model.json": `{"metadata":{"targetPrefix":"P"},"errors":{"Known":{"httpStatus":400}},"operations":{"Old":{"input":"OldRequest","output":"OldResponse","errors":["Known"]}},
			"shapes":{"OldRequest":{"type":"structure","members":{"Name":{"shape":"Name"}}},"OldResponse":{"type":"structure"},"Name":{"type":"string","max":10},"Known":{"type":"structure","exception":true}}}`,
		newerFile: `{"metadata":{"targetPrefix":"P"},"operations":{"Stale":{"input":"StaleRequest","output":"StaleResponse"}},"shapes":{"StaleRequest":{"type":"structure"},"StaleResponse":{"type":"structure"}}}`,
		"aws/service-2.json": `{"metadata":{"targetPrefix":"P"},"operations":{
			"Old":{"name":"Old","input":{"shape":"OldRequest"},"output":{"shape":"OldResponse"},"documentation":"prose"},
			"ListNew":{"name":"ListNew","input":{"shape":"ListNewRequest"},"output":{"shape":"ListNewResponse"},"errors":[{"shape":"Known"},{"shape":"Fresh"},{"shape":"Broken"}],"documentation":"prose"}},
			"shapes":{"OldRequest":{"type":"structure","members":{"Name":{"shape":"Name"},"More":{"shape":"Name"}}},"OldResponse":{"type":"structure"},"Name":{"type":"string","max":20},"Known":{"type":"structure","exception":true},
			"ListNewRequest":{"type":"structure","members":{"documentation":{"shape":"Name","documentation":"prose"},"NextToken":{"shape":"Token"}},"documentation":"prose"},
			"ListNewResponse":{"type":"structure","members":{"Things":{"shape":"Things"},"ByName":{"shape":"ByName"},"NextToken":{"shape":"Token"}}},
			"Token":{"type":"string","min":1},"Things":{"type":"list","member":{"shape":"Thing"}},"Thing":{"type":"string","enum":["A","B"]},"ByName":{"type":"map","key":{"shape":"Name"},"value":{"shape":"Part"}},
			"Part":{"type":"structure","members":{"Whole":{"shape":"Part"}}},"Unused":{"type":"string"},
			"Fresh":{"type":"structure","exception":true},"Broken":{"type":"structure","exception":true,"fault":true}}}`,
		"aws/paginators-1.json": `{"pagination":{"ListNew":{"input_token":"NextToken","output_token":"NextToken","limit_key":"MaxResults","result_key":"Things"},"Old":{}}}`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeNewer(filepath.Join(dir, "aws"), dir, "note"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, newerFile))
	if err != nil {
		t.Fatal(err)
	}
	var got model
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := []string{"Broken", "ByName", "Fresh", "ListNewRequest", "ListNewResponse", "Part", "Thing", "Things", "Token"}
	if names := slices.Sorted(maps.Keys(got.Shapes)); !slices.Equal(names, want) {
		t.Errorf("the shapes are %v, want %v", names, want)
	}
	if len(got.Operations) != 1 || got.Paginators["ListNew"].ResultKey != "Things" || len(got.Paginators) != 1 || got.Errors["Fresh"].HTTPStatus != 400 || got.Errors["Broken"].HTTPStatus != 500 || len(got.Errors) != 2 {
		t.Errorf("%s", text)
	}
	if len(got.Members) != 1 || got.Members["OldRequest"]["More"].Shape != "Name" {
		t.Errorf("the members are %v", got.Members)
	}
	if bytes.Contains(text, []byte("prose")) || !bytes.Contains(text, []byte(`"documentation": {`)) {
		t.Errorf("prose, or a member lost:\n%s", text)
	}
	files, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	for file, part := range map[string]string{
		"zz_generated_operations.go": `Name: "ListNew", Result: "Things"`, "zz_generated_types.go": "type ListNewResponse struct", "zz_generated_shapes.go": `newer: []string{"More"}`, "zz_generated_errors.go": "func Broken(", dispatchFile: `add("P.ListNew"`,
	} {
		if !bytes.Contains(files[file], []byte(part)) {
			t.Errorf("%s lacks %s", file, part)
		}
	}
}

// TestNewerIsCurrent: newer.json is what botocore's data say, nobody wrote it.
func TestNewerIsCurrent(t *testing.T) {
	found, err := filepath.Glob("../../../.venv/lib/python3*/site-packages/botocore/data/network-firewall/2020-11-12")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		if os.Getenv("CI") == "true" || os.Getenv("SLUICE_REQUIRE_CLIENTS") == "1" {
			t.Fatal("botocore is not installed: run make venv")
		}
		t.Skip("botocore is not installed: run make venv")
	}
	have, err := os.ReadFile(newerFile)
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Note string }
	if err := json.Unmarshal(have, &m, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	want, err := newerThan(found[0], ".", m.Note)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(have), want) {
		t.Errorf("%s is stale: run make model", newerFile)
	}
}

func TestModelCheck(t *testing.T) {
	for name, m := range map[string]model{
		"input name":    {Operations: map[string]operation{"A": {Input: "B", Output: "AResponse"}}},
		"output name":   {Operations: map[string]operation{"A": {Input: "ARequest", Output: "B"}}},
		"token name":    {Paginators: map[string]paginator{"A": {InputToken: "Marker", OutputToken: "NextToken", LimitKey: "MaxResults"}}},
		"pattern":       {Shapes: map[string]shape{"S": {Type: "string", Pattern: `(?<=a)b`}}},
		"list of lists": {Shapes: map[string]shape{"S": {Type: "list", Member: ref{Shape: "S"}}}},
		"map of lists":  {Shapes: map[string]shape{"L": {Type: "list"}, "M": {Type: "map", Value: ref{Shape: "L"}}}},
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
