// Command gen writes the generated parts of packages wire and awsapi from the
// models in this directory. It is run by "go generate ./awsapi/wire".
//
// A model is JSON: operations, shapes (structures, lists, maps and scalars with
// their constraints), exceptions and paginators, as AWS's own clients carry
// them, with the prose left out.
package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"go/format"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// model is one service: the operations that share a target prefix.
type model struct {
	Metadata struct {
		TargetPrefix string `json:"targetPrefix"`
	} `json:"metadata"`
	Errors     map[string]exception `json:"errors"`
	Operations map[string]operation `json:"operations"`
	Paginators map[string]paginator `json:"paginators"`
	Shapes     map[string]shape     `json:"shapes"`

	// Members are those that a newer model adds to structures of an older one.
	Members map[string]map[string]ref `json:"members"`

	file string // its name
}

type exception struct {
	HTTPStatus int `json:"httpStatus"`
}

// operation is one operation. Its key in the model is its name in Go, unique in
// all models; WireName is what requests call it, where that differs.
type operation struct {
	WireName string   `json:"wireName"`
	Input    string   `json:"input"`
	Output   string   `json:"output"`
	Errors   []string `json:"errors"`
}

type paginator struct {
	InputToken  string `json:"input_token"`
	OutputToken string `json:"output_token"`
	LimitKey    string `json:"limit_key"`
	ResultKey   string `json:"result_key"`
}

type shape struct {
	Type      string         `json:"type"`
	Members   map[string]ref `json:"members"`
	Required  []string       `json:"required"`
	Member    ref            `json:"member"`
	Key       ref            `json:"key"`
	Value     ref            `json:"value"`
	Min       *int64         `json:"min"`
	Max       *int64         `json:"max"`
	Pattern   string         `json:"pattern"`
	Enum      []string       `json:"enum"`
	Exception bool           `json:"exception"`
}

type ref struct {
	Shape string `json:"shape"`

	newer bool // a member that a newer model has added
}

func main() {
	from := flag.String("newer", "", "first write gen/"+newerFile+" from the botocore data files in this `directory`")
	note := flag.String("note", "", "what that file says of its origin")
	flag.Parse()
	var err error
	if *from != "" {
		err = writeNewer(*from, "gen", *note)
	}
	if err == nil {
		err = run(".", "..")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the files of package wire into wireDir, where the models are in
// gen/, and the dispatch table into awsapiDir.
func run(wireDir, awsapiDir string) error {
	files, err := generate(filepath.Join(wireDir, "gen"))
	if err != nil {
		return err
	}
	for name, text := range files {
		dir := wireDir
		if name == dispatchFile {
			dir = awsapiDir
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

const dispatchFile = "zz_generated_dispatch.go"

// generate returns the contents of all generated files by name.
func generate(modelDir string) (map[string][]byte, error) {
	models, all, err := load(modelDir)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for name, text := range map[string]string{
		"zz_generated_types.go":      types(all),
		"zz_generated_enums.go":      enums(all),
		"zz_generated_errors.go":     exceptions(all),
		"zz_generated_operations.go": operations(models),
		"zz_generated_shapes.go":     shapes(all),
		dispatchFile:                 dispatch(models),
	} {
		src, err := format.Source([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("format %s: %w", name, err)
		}
		files[name] = src
	}
	return files, nil
}

// load reads all models of dir, in order of their file names, and returns them
// beside their union.
func load(dir string) (models []model, all model, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, all, err
	}
	all = model{
		Errors:     make(map[string]exception),
		Operations: make(map[string]operation),
		Shapes:     make(map[string]shape),
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, all, err
		}
		m := model{file: filepath.Base(name)}
		if err := json.Unmarshal(text, &m); err != nil {
			return nil, all, fmt.Errorf("%s: %w", name, err)
		}
		if err := m.check(); err != nil {
			return nil, all, fmt.Errorf("%s: %w", name, err)
		}
		for op := range m.Operations {
			if _, ok := all.Operations[op]; ok {
				return nil, all, fmt.Errorf("%s: operation %s is in another model too", name, op)
			}
		}
		for s := range m.Shapes {
			if _, ok := all.Shapes[s]; ok {
				return nil, all, fmt.Errorf("%s: shape %s is in another model too", name, s)
			}
		}
		models = append(models, m)
		maps.Copy(all.Errors, m.Errors)
		maps.Copy(all.Operations, m.Operations)
		maps.Copy(all.Shapes, m.Shapes)
	}
	if len(models) == 0 {
		return nil, all, fmt.Errorf("no model in %s", dir)
	}
	for _, m := range models {
		for name, added := range m.Members {
			s, ok := all.Shapes[name]
			if !ok || s.Type != "structure" {
				return nil, all, fmt.Errorf("%s: members are added to %s, which is no structure", m.file, name)
			}
			s.Members = maps.Clone(s.Members)
			if s.Members == nil {
				s.Members = make(map[string]ref)
			}
			for member, r := range added {
				s.Members[member] = ref{r.Shape, true}
			}
			all.Shapes[name] = s
		}
	}
	return models, all, nil
}

// check refuses what the generated code and its readers do not expect.
func (m model) check() error {
	for name, op := range m.Operations {
		if op.Input != name+"Request" || op.Output != name+"Response" {
			return fmt.Errorf("operation %s: input and output must be called %[1]sRequest and %[1]sResponse", name)
		}
	}
	for name, p := range m.Paginators {
		if p.InputToken != "NextToken" || p.OutputToken != "NextToken" || p.LimitKey != "MaxResults" {
			return fmt.Errorf("paginator %s: members must be called NextToken and MaxResults", name)
		}
	}
	for name, s := range m.Shapes {
		if s.Pattern != "" {
			if _, err := regexp.Compile(s.Pattern); err != nil {
				return fmt.Errorf("shape %s: %w", name, err)
			}
		}
		switch s.Type {
		case "list":
			if k := m.Shapes[s.Member.Shape].Type; k == "list" || k == "map" {
				return fmt.Errorf("shape %s: lists of a %s are not supported", name, k)
			}
		case "map":
			if k := m.Shapes[s.Value.Shape].Type; k == "list" || k == "map" {
				return fmt.Errorf("shape %s: maps of a %s are not supported", name, k)
			}
		case "structure", "string", "integer", "long", "boolean", "timestamp", "blob":
		default:
			return fmt.Errorf("shape %s: type %q is not supported", name, s.Type)
		}
	}
	return nil
}

func header(pkg string) string {
	return "// Code generated by awsapi/wire/gen from its models. DO NOT EDIT.\n\npackage " + pkg + "\n\n"
}

// goType is the Go type of a shape where it stands alone: a list element, a map
// value, or behind a pointer.
func (m model) goType(name string) string {
	s := m.Shapes[name]
	switch s.Type {
	case "structure":
		return name
	case "list":
		return "[]" + m.goType(s.Member.Shape)
	case "map":
		return "map[string]" + m.goType(s.Value.Shape)
	case "integer":
		return "int32"
	case "long":
		return "int64"
	case "boolean":
		return "bool"
	case "timestamp":
		return "Time"
	case "blob":
		return "[]byte"
	}
	return "string"
}

// memberType is the Go type of a structure member: nil when absent.
func (m model) memberType(name string) string {
	switch m.Shapes[name].Type {
	case "list", "map", "blob":
		return m.goType(name)
	}
	return "*" + m.goType(name)
}

// types declares a Go structure per structure shape.
func types(m model) string {
	var b bytes.Buffer
	b.WriteString(header("wire"))
	for _, name := range slices.Sorted(maps.Keys(m.Shapes)) {
		s := m.Shapes[name]
		if s.Type != "structure" || s.Exception {
			continue
		}
		doc := "is a structure of the API model."
		if op, ok := strings.CutSuffix(name, "Request"); ok && m.Operations[op].Input == name {
			doc = "is the input of " + op + "."
		}
		if op, ok := strings.CutSuffix(name, "Response"); ok && m.Operations[op].Output == name {
			doc = "is the output of " + op + "."
		}
		fmt.Fprintf(&b, "// %s %s\ntype %s struct {\n", name, doc, name)
		for _, field := range slices.Sorted(maps.Keys(s.Members)) {
			target := s.Members[field].Shape
			note := target
			if slices.Contains(s.Required, field) {
				note += ", required"
			}
			fmt.Fprintf(&b, "%s %s `json:\",omitzero\"` // %s\n", field, m.memberType(target), note)
		}
		b.WriteString("}\n\n")
	}
	return b.String()
}

// enums declares a constant per enumeration value.
func enums(m model) string {
	var b bytes.Buffer
	b.WriteString(header("wire"))
	for _, name := range slices.Sorted(maps.Keys(m.Shapes)) {
		s := m.Shapes[name]
		if len(s.Enum) == 0 {
			continue
		}
		fmt.Fprintf(&b, "// Values of %s.\nconst (\n", name)
		for _, v := range s.Enum {
			fmt.Fprintf(&b, "%s%s = %q\n", name, camel(v), v)
		}
		b.WriteString(")\n\n")
	}
	return b.String()
}

// camel turns DROP_TO_ALERT into DropToAlert and leaves CloudWatchLogs alone.
func camel(value string) string {
	if value != strings.ToUpper(value) {
		return value
	}
	var b strings.Builder
	for word := range strings.SplitSeq(value, "_") {
		b.WriteString(word[:1] + strings.ToLower(word[1:]))
	}
	return b.String()
}

// exceptions declares a constructor per modeled exception.
func exceptions(m model) string {
	var b bytes.Buffer
	b.WriteString(header("wire"))
	for _, name := range slices.Sorted(maps.Keys(m.Errors)) {
		fmt.Fprintf(&b, "// %s returns the modeled exception of that name, HTTP status %d.\n", name, m.Errors[name].HTTPStatus)
		fmt.Fprintf(&b, "func %s(format string, args ...any) *Error {\n", name)
		fmt.Fprintf(&b, "return newError(%d, %q, format, args...)\n}\n\n", m.Errors[name].HTTPStatus, name)
	}
	return b.String()
}

// operations declares the table of operations, sorted by target.
func operations(models []model) string {
	var b bytes.Buffer
	b.WriteString(header("wire"))
	b.WriteString("// operations lists all operations of the models.\nvar operations = []Operation{\n")
	for _, m := range models {
		for _, name := range slices.Sorted(maps.Keys(m.Operations)) {
			op := m.Operations[name]
			fmt.Fprintf(&b, "{Prefix: %q, Name: %q, Result: %q,\nErrors: []string{", m.Metadata.TargetPrefix, cmp.Or(op.WireName, name), m.Paginators[name].ResultKey)
			for _, e := range op.Errors {
				fmt.Fprintf(&b, "%q, ", e)
			}
			fmt.Fprintf(&b, "},\nNewRequest: alloc[%s], NewResponse: alloc[%s]},\n", op.Input, op.Output)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// shapes declares the constraint table: the shapes that requests can reach.
func shapes(m model) string {
	reached := make(map[string]bool)
	var reach func(string)
	reach = func(name string) {
		if name == "" || reached[name] {
			return
		}
		reached[name] = true
		s := m.Shapes[name]
		for _, r := range s.Members {
			reach(r.Shape)
		}
		reach(s.Member.Shape)
		reach(s.Key.Shape)
		reach(s.Value.Shape)
	}
	for _, op := range m.Operations {
		reach(op.Input)
	}
	var b bytes.Buffer
	b.WriteString(header("wire"))
	b.WriteString("// shapes holds the shapes that requests can reach.\nvar shapes = map[string]*shape{\n")
	for _, name := range slices.Sorted(maps.Keys(reached)) {
		s := m.Shapes[name]
		fmt.Fprintf(&b, "%q: {", name)
		if c := constraints(s); len(c) > 0 {
			fmt.Fprintf(&b, "constraints: []constraint{%s}, ", strings.Join(c, ", "))
		}
		if s.Type == "list" {
			fmt.Fprintf(&b, "elem: %q, ", s.Member.Shape)
		}
		if s.Type == "map" {
			fmt.Fprintf(&b, "key: %q, elem: %q, ", s.Key.Shape, s.Value.Shape)
		}
		if len(s.Members) > 0 {
			var newer []string
			b.WriteString("members: []member{\n")
			for _, field := range slices.Sorted(maps.Keys(s.Members)) {
				r := s.Members[field]
				fmt.Fprintf(&b, "{%q, %q, %t},\n", strings.ToLower(field[:1])+field[1:], r.Shape, slices.Contains(s.Required, field))
				if r.newer {
					newer = append(newer, field)
				}
			}
			b.WriteString("}")
			if len(newer) > 0 {
				fmt.Fprintf(&b, ", newer: %#v", newer)
			}
		}
		b.WriteString("},\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// constraints returns the calls that construct the constraints of s.
func constraints(s shape) []string {
	of := "Length"
	if s.Type == "integer" || s.Type == "long" {
		of = "Value"
	}
	var calls []string
	if s.Max != nil {
		calls = append(calls, fmt.Sprintf("max%s(%d)", of, *s.Max))
	}
	if s.Min != nil && (of == "Value" || *s.Min > 0) {
		calls = append(calls, fmt.Sprintf("min%s(%d)", of, *s.Min))
	}
	if s.Pattern != "" {
		calls = append(calls, fmt.Sprintf("pattern(%q)", s.Pattern))
	}
	if len(s.Enum) > 0 {
		quoted := strings.Trim(fmt.Sprintf("%q", s.Enum), "[]")
		calls = append(calls, "enum("+strings.ReplaceAll(quoted, "\" \"", "\", \"")+")")
	}
	return calls
}

// dispatch declares the function that finds the operations of a service.
func dispatch(models []model) string {
	var b bytes.Buffer
	b.WriteString(header("awsapi"))
	b.WriteString("import (\n\"context\"\n\n\"github.com/sluicefw/sluice/awsapi/wire\"\n)\n\n")
	b.WriteString("// bind calls add for every operation of the models that service implements.\n")
	b.WriteString("func bind(service any, add func(target string, h handler)) {\n")
	for _, m := range models {
		for _, name := range slices.Sorted(maps.Keys(m.Operations)) {
			fmt.Fprintf(&b, "if s, ok := service.(interface{ %[1]s(context.Context, wire.Caller, *wire.%[1]sRequest) (*wire.%[1]sResponse, error) }); ok {\n", name)
			fmt.Fprintf(&b, "add(%q, handle(s.%s))\n}\n", m.Metadata.TargetPrefix+"."+cmp.Or(m.Operations[name].WireName, name), name)
		}
	}
	b.WriteString("}\n")
	return b.String()
}
