package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Source says where settings come from.
type Source struct {
	File   string                           // path; empty: none
	Lookup func(name string) (string, bool) // the environment, as os.LookupEnv; nil: none
	Flags  map[string]Flag                  // by name of the key
}

// Flag is a setting of the command line.
type Flag struct {
	Name  string // as typed: "--listen"
	Value string
}

// Load returns the validated configuration. The error has one line for each
// thing that is wrong.
func (s Source) Load() (*Config, error) {
	c := Default()
	p := places{}
	if s.File != "" {
		text, err := readFile(s.File)
		if err != nil {
			return nil, fmt.Errorf("config: read: %w", err)
		}
		if err := decode(c, p, s.File, text); err != nil {
			return nil, err
		}
	}
	var errs []error
	eachKey(reflect.ValueOf(c).Elem(), "", func(k Key, field reflect.Value) {
		if s.Lookup != nil {
			// A variable that is set but empty counts as not set: that is how
			// container platforms leave a value out.
			if value, _ := s.Lookup(k.Env); value != "" {
				errs = append(errs, p.set(k, field, k.Env, value))
			}
		}
		if flag, ok := s.Flags[k.Name]; ok {
			errs = append(errs, p.set(k, field, flag.Name, flag.Value))
		}
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.Zone == "" {
		c.Zone = c.Region + "a"
	}
	if err := c.validate(p); err != nil {
		return nil, err
	}
	return c, nil
}

// readFile reads a whole file of bounded size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}

// places tells where each key was set, for errors: by name of the key, with
// "[i]" for the elements of lists.
type places map[string]string

// of is the place of a key: its own, else that of what it is part of.
func (p places) of(key string) string {
	for at := key; at != ""; {
		if place, ok := p[at]; ok {
			return place
		}
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	return "default"
}

// decode reads a file into c.
func decode(c *Config, p places, file string, text []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return syntaxError(file, err)
	}
	if len(doc.Content) == 0 {
		return nil // nothing but comments
	}
	p.note(doc.Content[0], file, "")
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil {
		return p.decodeErrors(file, err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: there is a second document in the file: remove the line \"---\" and what follows it", file)
	}
	return nil
}

// note records the lines of n and of what is below it.
func (p places) note(n *yaml.Node, file, key string) {
	if key != "" {
		p[key] = file + ":" + strconv.Itoa(n.Line)
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := strings.TrimPrefix(key+"."+n.Content[i].Value, ".")
			p.note(n.Content[i+1], file, name)
			p[name] = file + ":" + strconv.Itoa(n.Content[i].Line)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			p.note(item, file, fmt.Sprintf("%s[%d]", key, i))
		}
	}
}

var (
	yamlLine     = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	unknownField = regexp.MustCompile(`^field (.*) not found in type config\.\w+$`)
	yamlType     = regexp.MustCompile("^cannot unmarshal (!!\\w+) (?:`(.*)` )?into (.*)$")
)

// syntaxError is that of a file that is not YAML.
func syntaxError(file string, err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: not YAML: %s", file, m[1], m[2])
	}
	return fmt.Errorf("%s: not YAML: %w", file, err)
}

// decodeErrors puts the decoder's errors in an operator's words.
func (p places) decodeErrors(file string, err error) error {
	mismatch, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return syntaxError(file, err)
	}
	var errs []error
	for _, text := range mismatch.Errors {
		m := yamlLine.FindStringSubmatch(text)
		if m == nil {
			errs = append(errs, fmt.Errorf("%s: %s", file, text))
			continue
		}
		at := file + ":" + m[1]
		if f := unknownField.FindStringSubmatch(m[2]); f != nil {
			errs = append(errs, fmt.Errorf("%s: unknown key %q: correct or remove it; \"sluice config keys\" lists the keys", at, f[1]))
			continue
		}
		if t := yamlType.FindStringSubmatch(m[2]); t != nil {
			errs = append(errs, fmt.Errorf("%s: %s: write %s", at, p.keysAt(at), wanted(t[3])))
			continue
		}
		errs = append(errs, fmt.Errorf("%s: %s", at, m[2]))
	}
	return errors.Join(errs...)
}

// keysAt names the key that stands at a place; the longest when several do.
func (p places) keysAt(place string) string {
	found := ""
	for key, at := range p {
		if at == place && (len(key) > len(found) || len(key) == len(found) && key < found) {
			found = key
		}
	}
	return found
}

// wanted names a Go type in the words of YAML.
func wanted(goType string) string {
	switch {
	case goType == "int", goType == "uint32":
		return "a number in digits"
	case goType == "bool":
		return "true or false"
	case goType == "string":
		return "one text value"
	case strings.HasPrefix(goType, "[]"):
		return "a list: [a, b]"
	}
	return "a mapping: {key: value}"
}

// set gives a field its value from outside the file: text as it stands,
// everything else in the form of the file.
func (p places) set(k Key, field reflect.Value, place, value string) error {
	p.forget(k.Name)
	p[k.Name] = place
	if field.Kind() == reflect.String {
		field.SetString(value)
		return nil
	}
	fresh := reflect.New(field.Type())
	d := yaml.NewDecoder(strings.NewReader(value))
	d.KnownFields(true)
	if err := d.Decode(fresh.Interface()); err != nil {
		// The decoder's lines are those of the value, which is one line as a rule.
		return fmt.Errorf("%s: %s: %q cannot be read: write %s", place, k.Name, value, wanted(field.Type().String()))
	}
	field.Set(fresh.Elem())
	return nil
}

// forget drops what is known of a key's parts, which another source replaces.
func (p places) forget(key string) {
	for k := range p {
		if strings.HasPrefix(k, key+".") || strings.HasPrefix(k, key+"[") {
			delete(p, k)
		}
	}
}
