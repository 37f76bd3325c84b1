package detect

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/sluicefw/sluice/engine/pcre"
	"github.com/sluicefw/sluice/rule"
)

// transform appends to dst what becomes of src.
type transform func(m *matcher, dst, src []byte) []byte

// transforms are those without an argument, by keyword.
var transforms = map[string]transform{
	"dotprefix": func(_ *matcher, dst, src []byte) []byte { return append(append(dst, '.'), src...) },
	"strip_whitespace": func(_ *matcher, dst, src []byte) []byte {
		for _, b := range src {
			if !isSpace(b) {
				dst = append(dst, b)
			}
		}
		return dst
	},
	"compress_whitespace": func(_ *matcher, dst, src []byte) []byte {
		for i, b := range src {
			switch {
			case !isSpace(b):
				dst = append(dst, b)
			case i == 0 || !isSpace(src[i-1]):
				dst = append(dst, ' ')
			}
		}
		return dst
	},
	"to_lowercase": func(_ *matcher, dst, src []byte) []byte { return appendMapped(dst, src, lower) },
	"to_uppercase": func(_ *matcher, dst, src []byte) []byte {
		return appendMapped(dst, src, func(b byte) byte {
			if 'a' <= b && b <= 'z' {
				return b - ('a' - 'A')
			}
			return b
		})
	},
	"to_md5":               func(_ *matcher, dst, src []byte) []byte { sum := md5.Sum(src); return append(dst, sum[:]...) },
	"to_sha1":              func(_ *matcher, dst, src []byte) []byte { sum := sha1.Sum(src); return append(dst, sum[:]...) },
	"to_sha256":            func(_ *matcher, dst, src []byte) []byte { sum := sha256.Sum256(src); return append(dst, sum[:]...) },
	"url_decode":           urlDecode,
	"header_lowercase":     headerLowercase,
	"strip_pseudo_headers": stripPseudoHeaders,
}

// newTransform compiles one transformation.
func newTransform(o *rule.Option) (transform, error) {
	switch o.Name {
	case "xor":
		key, err := hex.DecodeString(strings.Trim(strings.ReplaceAll(o.Value, " ", ""), `"`))
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("the key of xor is not hexadecimal bytes; write two digits for each, as in xor:0d0a")
		}
		return func(_ *matcher, dst, src []byte) []byte {
			for i, b := range src {
				dst = append(dst, b^key[i%len(key)])
			}
			return dst
		}, nil
	case "pcrexform":
		re, err := pcre.Compile(strings.Trim(o.Value, `"`), "")
		if err != nil {
			return nil, err
		}
		if re.Groups() != 1 {
			return nil, fmt.Errorf("pcrexform needs one capturing group, for what becomes of the buffer")
		}
		return func(m *matcher, dst, src []byte) []byte {
			m.regex.Work = pcre.Work
			if re.Match(&m.regex, src, 0) {
				if from, to, ok := m.regex.Group(1); ok {
					src = src[from:to]
				}
			}
			return append(dst, src...)
		}, nil
	}
	if t, ok := transforms[o.Name]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("transformation %q is not supported by this version of Sluice; remove it from the rule", o.Name)
}

// transformed applies transformations one after the other. The result is valid until
// the next call.
func (m *matcher) transformed(ts []transform, data []byte) []byte {
	for i, t := range ts {
		dst := &m.scratch[i%2]
		*dst = t(m, (*dst)[:0], data)
		data = *dst
	}
	return data
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

func appendMapped(dst, src []byte, f func(byte) byte) []byte {
	for _, b := range src {
		dst = append(dst, f(b))
	}
	return dst
}

func urlDecode(_ *matcher, dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		switch {
		case src[i] == '+':
			dst = append(dst, ' ')
		case src[i] == '%' && i+2 < len(src) && digit(src[i+1]) < 16 && digit(src[i+2]) < 16:
			dst = append(dst, byte(digit(src[i+1])<<4|digit(src[i+2])))
			i += 2
		default:
			dst = append(dst, src[i])
		}
	}
	return dst
}

// headerLowercase turns the names of header lines to lower case.
func headerLowercase(_ *matcher, dst, src []byte) []byte {
	name := true
	for _, b := range src {
		switch b {
		case ':':
			name = false
		case '\n':
			name = true
		}
		if name {
			b = lower(b)
		}
		dst = append(dst, b)
	}
	return dst
}

// stripPseudoHeaders takes HTTP/2's lines such as :path away.
func stripPseudoHeaders(_ *matcher, dst, src []byte) []byte {
	for line := range bytes.Lines(src) {
		if line[0] != ':' {
			dst = append(dst, line...)
		}
	}
	return dst
}
