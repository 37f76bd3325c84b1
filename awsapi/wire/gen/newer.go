package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// newerFile is the model of the operations that AWS has added since model.json
// was taken. It is written by "make model" from the data files of botocore.
const newerFile = "newer.json"

// object is a part of a model whose members this program does not know.
type object = map[string]any

// newer returns as a model what the botocore data files in dir have and have lacks,
// without prose: operations, members of structures, and the shapes that these
// need. What both have stays as have has it.
func newer(dir string, have model, note string) ([]byte, error) {
	var service struct {
		Metadata   object            `json:"metadata"`
		Operations map[string]object `json:"operations"`
		Shapes     map[string]object `json:"shapes"`
	}
	if err := read(filepath.Join(dir, "service-2.json"), &service); err != nil {
		return nil, err
	}
	var pages struct {
		Pagination map[string]object `json:"pagination"`
	}
	if err := read(filepath.Join(dir, "paginators-1.json"), &pages); err != nil {
		return nil, err
	}

	operations, paginators, shapes, exceptions := object{}, object{}, object{}, object{}
	var reach func(name string)
	reach = func(name string) {
		if _, known := have.Shapes[name]; known || shapes[name] != nil {
			return
		}
		s := service.Shapes[name]
		shapes[name] = withoutProse(s, false)
		if s["exception"] == true {
			status := 400
			if s["fault"] == true {
				status = 500
			}
			exceptions[name] = object{"httpStatus": status}
		}
		members, _ := s["members"].(object)
		for _, m := range members {
			reach(target(m))
		}
		for _, part := range []string{"member", "key", "value"} {
			if s[part] != nil {
				reach(target(s[part]))
			}
		}
	}
	for name, op := range service.Operations {
		if _, known := have.Operations[name]; known {
			continue
		}
		var errs []string
		list, _ := op["errors"].([]any)
		for _, e := range list {
			errs = append(errs, target(e))
			reach(target(e))
		}
		reach(target(op["input"]))
		reach(target(op["output"]))
		operations[name] = object{"input": target(op["input"]), "output": target(op["output"]), "errors": errs}
		if p, ok := pages.Pagination[name]; ok {
			paginators[name] = p
		}
	}
	members := object{}
	for name, s := range service.Shapes {
		known, ok := have.Shapes[name]
		if !ok || known.Type != "structure" || known.Exception {
			continue
		}
		added := object{}
		all, _ := s["members"].(object)
		for m, ref := range all {
			if _, ok := known.Members[m]; !ok {
				added[m] = withoutProse(ref, false)
				reach(target(ref))
			}
		}
		if len(added) > 0 {
			members[name] = added
		}
	}
	return json.Marshal(object{
		"note": note, "members": members, "metadata": object{"targetPrefix": service.Metadata["targetPrefix"]},
		"operations": operations, "paginators": paginators, "shapes": shapes, "errors": exceptions,
	}, json.Deterministic(true), jsontext.WithIndent(" "))
}

// target is the name of the shape that a member, or an operation, refers to.
func target(ref any) string {
	o, _ := ref.(object)
	name, _ := o["shape"].(string)
	return name
}

// withoutProse copies part of a model. Members of structures may well be called
// documentation.
func withoutProse(v any, members bool) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for name, x := range v {
			if members || name != "documentation" && name != "documentationUrl" {
				out[name] = withoutProse(x, name == "members")
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutProse(v[i], false)
		}
		return out
	}
	return v
}

// read reads a data file, which may be compressed.
func read(path string, v any) error {
	f, err := os.Open(path)
	var from io.Reader = f
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = os.Open(path + ".gz"); err == nil {
			from, err = gzip.NewReader(f)
		}
	}
	if f != nil {
		defer f.Close()
	}
	if err != nil {
		return err
	}
	if err := json.UnmarshalRead(from, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeNewer writes newerFile beside the other models of modelDir, which decide
// what is new.
func writeNewer(dir, modelDir, note string) error {
	text, err := newerThan(dir, modelDir, note)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(modelDir, newerFile), append(text, '\n'), 0o644)
}

func newerThan(dir, modelDir, note string) ([]byte, error) {
	models, _, err := load(modelDir)
	if err != nil {
		return nil, err
	}
	have := model{Operations: map[string]operation{}, Shapes: map[string]shape{}}
	for _, m := range models {
		if m.file != newerFile {
			maps.Copy(have.Operations, m.Operations)
			maps.Copy(have.Shapes, m.Shapes)
		}
	}
	return newer(dir, have, note)
}
