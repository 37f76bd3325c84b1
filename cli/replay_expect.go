package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

// readExpected reads verdicts as --write-expect writes them, some members of
// which may have been deleted.
func readExpected(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the expected verdicts: %w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("%s holds no verdicts as --write-expect writes them: %w", path, err)
	}
	return tree, nil
}

// lists are the members whose own members are data: one that is not expected
// there is a difference, while elsewhere what is not expected does not matter.
var lists = map[string]bool{"dropped_by": true, "alerts": true, "flows": true}

// differences says, in a line each, where got is not as expected.
func differences(expected map[string]any, got *verdicts) ([]string, error) {
	text, err := json.Marshal(got)
	if err != nil {
		return nil, fmt.Errorf("compare the verdicts: %w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("compare the verdicts: %w", err)
	}
	var lines []string
	var walk func(path []string, want, have any)
	walk = func(path []string, want, have any) {
		wants, isObject := want.(map[string]any)
		haves, alike := have.(map[string]any)
		if !isObject || !alike {
			if !reflect.DeepEqual(want, have) {
				lines = append(lines, fmt.Sprintf("%s: expected %s, got %s", strings.Join(path, ": "), brief(want), brief(have)))
			}
			return
		}
		names := maps.Clone(wants)
		if len(path) > 0 && lists[path[len(path)-1]] {
			maps.Copy(names, haves)
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			walk(append(path[:len(path):len(path)], name), wants[name], haves[name])
		}
	}
	walk(nil, expected, tree)
	return lines, nil
}

// brief is a value of a tree in a difference.
func brief(v any) string {
	if v == nil {
		return "none"
	}
	if o, ok := v.(map[string]any); ok && o["verdict"] != nil {
		return fmt.Sprintf("a flow (%v, %v packets)", o["verdict"], o["packets"])
	}
	text, _ := json.Marshal(v) // came from JSON
	return string(text)
}
