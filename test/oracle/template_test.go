package oracle

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// expand writes one text of a template: {a|b|} stands for one of its alternatives, which
// may hold others; {#9} for a number from 0 to 9, {#3-9} for one from 3 to 9; {$name} for
// the template of that name. A backslash takes the meaning from { | and }.
func expand(r *rand.Rand, template string, named map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(template); i++ {
		switch c := template[i]; {
		case c == '\\' && i+1 < len(template) && strings.IndexByte("{|}", template[i+1]) >= 0:
			i++
			b.WriteByte(template[i])
		case c == '{':
			alternatives, length := split(template[i+1:])
			i += length
			b.WriteString(alternative(r, pick(r, alternatives), named))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func alternative(r *rand.Rand, text string, named map[string]string) string {
	if name, ok := strings.CutPrefix(text, "$"); ok && named[name] != "" {
		return expand(r, named[name], named)
	}
	numbers, ok := strings.CutPrefix(text, "#")
	if !ok {
		return expand(r, text, named)
	}
	least, most, isRange := strings.Cut(numbers, "-")
	if !isRange {
		least, most = "0", numbers
	}
	from, err := strconv.Atoi(least)
	to, err2 := strconv.Atoi(most)
	if err != nil || err2 != nil || to < from {
		return expand(r, text, named)
	}
	return fmt.Sprint(from + r.IntN(to-from+1))
}

// split cuts the alternatives of a group whose { stands before text, and says how long
// it is with its }.
func split(text string) (alternatives []string, length int) {
	depth, start := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '|':
			if depth == 0 {
				alternatives = append(alternatives, text[start:i])
				start = i + 1
			}
		case '}':
			if depth == 0 {
				return append(alternatives, text[start:i]), i + 1
			}
			depth--
		}
	}
	panic("{ is not closed in " + text)
}
