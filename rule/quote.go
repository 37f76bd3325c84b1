package rule

import "strings"

// checkQuotes reports quotes that are missing, not closed, or out of place.
func checkQuotes(kw Keyword, value string) *fault {
	start := 0
	if kw.quotes != quotesNone && strings.HasPrefix(value, "!") {
		start = skipSpace(value, 1)
	}
	rest := value[start:]
	switch opened := strings.HasPrefix(rest, `"`); {
	case opened && kw.quotes == quotesNone:
		return faultf(start, "the argument of %q does not stand in quotes; leave them out", kw.Name)
	case opened && (len(rest) == 1 || !strings.HasSuffix(rest, `"`)):
		return faultf(start, `the quotes of %q are not closed; add " and write ; inside quotes as \;`, kw.Name)
	case kw.quotes != quotesMust:
		return nil
	case !opened:
		return faultf(start, `the argument of %q is not in quotes; write %s:"...";`, kw.Name, kw.Name)
	case start > 0 && (kw.Kind != KindPlain && kw.Kind != KindContent || kw.Name == "msg"):
		return faultf(0, "keyword %q cannot be negated; leave the ! out", kw.Name)
	case rest == `""`:
		return faultf(start, "the argument of %q is empty; put text between the quotes", kw.Name)
	}
	return nil
}

// unquote takes away the quotes of an argument that may stand in them; a ! before them stays.
func unquote(value string) string {
	text, negated := strings.CutPrefix(value, "!")
	if text = strings.Trim(text, space); len(text) < 2 || text[0] != '"' {
		return value
	}
	if text = text[1 : len(text)-1]; negated {
		return "!" + text
	}
	return text
}

// unescape takes the backslashes out of quoted text. Suricata keeps the
// character after one, whichever it is.
func unescape(quoted string) string {
	body := quoted[1 : len(quoted)-1]
	if !strings.Contains(body, `\`) {
		return body
	}
	var b strings.Builder
	for i := 0; i < len(body); i++ {
		if body[i] == '\\' && i+1 < len(body) {
			i++
		}
		b.WriteByte(body[i])
	}
	return b.String()
}
