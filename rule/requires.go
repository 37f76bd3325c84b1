package rule

import (
	"fmt"
	"strconv"
	"strings"
)

// languageVersion is the version of Suricata whose language this is, as requires sees it.
var languageVersion = [3]int{7, 0, 10}

// parseRequires reads requires, a list of: feature and a name, keyword and a name, version and
// conditions. unmet says why the rule is to be left out, or is "".
func parseRequires(value string) (unmet string, f *fault) {
	sawVersion := false
	for _, o := range fields(value) {
		word, rest := o.word()
		if cut := strings.IndexAny(word, "<>"); cut > 0 {
			word, rest = word[:cut], o.text[cut:]
		}
		why := ""
		switch word {
		case "version":
			if sawVersion {
				return "", faultf(o.off, "requires has two version; join them, as in version >= 7 < 8")
			}
			sawVersion = true
			ok := false
			if ok, f = versionMatches(rest); f != nil {
				return "", f.shift(o.off)
			}
			if !ok {
				why = "it is for another version: " + rest
			}
		case "keyword":
			if _, ok := Known(rest); !ok {
				why = "it needs a keyword that is not known: " + rest
			}
		default: // features, of which there are none
			why = "it needs something that is not known: " + o.text
		}
		if unmet == "" {
			unmet = why
		}
	}
	return unmet, nil
}

// versionMatches reads alternatives with | between them, each one or two comparisons of
// a version that have to hold both, as in >= 7.0.3 < 8.
func versionMatches(text string) (matches bool, f *fault) {
	for alternative := range strings.SplitSeq(text, "|") {
		rest := strings.Trim(alternative, space)
		holds := true
		for n := 0; n == 0 || rest != ""; n++ {
			op := ""
			for _, o := range []string{">=", "<=", ">", "<"} {
				if strings.HasPrefix(rest, o) {
					op = o
					break
				}
			}
			if op == "" {
				return false, faultf(0, "version %q is no comparison; write one such as >= 7.0.3", clip(alternative))
			}
			rest = strings.Trim(rest[len(op):], space)
			number := rest
			if i := strings.IndexAny(rest, space+"<>"); i >= 0 {
				number, rest = rest[:i], strings.Trim(rest[i:], space)
			} else {
				rest = ""
			}
			diff, err := compareVersion(number)
			if err != nil {
				return false, faultf(0, "%q is no version; write one such as 7.0.3", clip(number))
			}
			holds = holds && map[string]bool{">=": diff >= 0, "<=": diff <= 0, ">": diff > 0, "<": diff < 0}[op]
		}
		matches = matches || holds
	}
	return matches, nil
}

// compareVersion compares languageVersion with a version of up to three numbers; a suffix such
// as -dev is passed over.
func compareVersion(text string) (int, error) {
	text, _, _ = strings.Cut(text, "-")
	parts := strings.Split(text, ".")
	if len(parts) > len(languageVersion)+1 {
		return 0, fmt.Errorf("a version has three numbers")
	}
	for i, have := range languageVersion {
		n := 0
		if i < len(parts) {
			var err error
			if n, err = strconv.Atoi(parts[i]); err != nil || n < 0 {
				return 0, fmt.Errorf("%q is no number", parts[i])
			}
		}
		if have != n {
			return have - n, nil
		}
	}
	return 0, nil
}
