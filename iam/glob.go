package iam

import (
	"strings"
	"unicode/utf8"
)

// glob is a pattern that was cut into tokens once: runs of text that stand for
// themselves, wildcards, and policy variables, whose values never act as
// wildcards. AWS: "IAM policy elements: variables and tags".
type glob []token

type token struct {
	kind tokenKind
	text string // of literal
}

type tokenKind uint8

const (
	literal  tokenKind = iota
	anyChar            // ?
	anyText            // *
	username           // ${aws:username}
)

// parseGlob reads a pattern. Without wildcards, * and ? stand for themselves.
// The problem is "" when there is none.
func parseGlob(text string, wildcards bool) (g glob, problem string) {
	add := func(s string) {
		if n := len(g); n > 0 && g[n-1].kind == literal {
			g[n-1].text += s
		} else {
			g = append(g, token{kind: literal, text: s})
		}
	}
	for len(text) > 0 {
		i := strings.IndexAny(text, "*?$")
		if i < 0 {
			i = len(text)
		}
		if i > 0 {
			add(text[:i])
			text = text[i:]
			continue
		}
		switch {
		case strings.HasPrefix(text, "${"):
			name, rest, ok := strings.Cut(text[2:], "}")
			if !ok {
				return nil, "has a policy variable without its closing brace"
			}
			switch {
			case name == "*" || name == "?" || name == "$":
				add(name)
			case strings.EqualFold(name, "aws:username"):
				g = append(g, token{kind: username})
			default:
				return nil, "has the policy variable ${" + clip(name) + "}, which is not supported: use ${aws:username}, or ${*}, ${?} and ${$} for the characters"
			}
			text = rest
			continue
		case text[0] == '*' && wildcards:
			if n := len(g); n == 0 || g[n-1].kind != anyText { // ** is *
				g = append(g, token{kind: anyText})
			}
		case text[0] == '?' && wildcards:
			g = append(g, token{kind: anyChar})
		default:
			add(text[:1])
		}
		text = text[1:]
	}
	return g, ""
}

// match reports whether all of s fits. On a mismatch it goes back to the last *
// only, so that time is at most the product of both lengths. user is the value
// of ${aws:username}; a caller without a name fits no pattern that asks for it.
func (g glob) match(s, user string) bool {
	i := 0
	retry, rest := -1, "" // the token after the last *, and the text that it was tried on
	for i < len(g) || s != "" {
		if i < len(g) {
			if g[i].kind == anyText {
				i++
				retry, rest = i, s
				continue
			}
			if n, ok := g[i].prefix(s, user); ok {
				i, s = i+1, s[n:]
				continue
			}
		}
		if retry < 0 || rest == "" {
			return false
		}
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		i, s = retry, rest
	}
	return true
}

// prefix returns how many bytes of s a token other than * takes.
func (t *token) prefix(s, user string) (n int, ok bool) {
	switch t.kind {
	case anyChar:
		_, n = utf8.DecodeRuneInString(s)
		return n, n > 0
	case username:
		return len(user), user != "" && strings.HasPrefix(s, user)
	}
	return len(t.text), strings.HasPrefix(s, t.text)
}
