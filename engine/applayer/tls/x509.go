package tls

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sluicefw/sluice/engine/applayer"
)

// Certificate is what records and rules tell of a certificate (RFC 5280, 4.1). It is read
// by hand, as far as that goes: crypto/x509 refuses much that is in use.
type Certificate struct {
	Subject, Issuer     []byte // such as "C=US, O=Example, CN=example.com"
	Serial              []byte // such as "00:97:E6"
	NotBefore, NotAfter int64  // seconds since 1970
	present             bool
}

func (c *Certificate) reset() {
	*c = Certificate{Subject: recycle(c.Subject), Issuer: recycle(c.Issuer), Serial: recycle(c.Serial)}
}

func (c *Certificate) memory() int { return cap(c.Subject) + cap(c.Issuer) + cap(c.Serial) }

// DER tags (X.690, 8.1.2).
const (
	tagInteger     = 0x02
	tagOID         = 0x06
	tagSequence    = 0x30
	tagSet         = 0x31
	tagUTCTime     = 0x17
	tagGeneralTime = 0x18
	tagBMPString   = 0x1e
	tagUniversal   = 0x1c
	tagVersion     = 0xa0 // [0] of TBSCertificate
)

// maxName bounds what is kept of a distinguished name.
const maxName = 8 << 10

// element takes the first TLV off b. Tags of several bytes are not in use here.
func element(b []byte) (tag byte, value, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	tag, n, at := b[0], int(b[1]), 2
	if n >= 0x80 {
		k := n & 0x7f
		if k == 0 || k > 4 || len(b) < 2+k {
			return 0, nil, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+k] {
			n = n<<8 | int(c)
		}
		at += k
	}
	if n > len(b)-at {
		return 0, nil, nil, false
	}
	return tag, b[at : at+n], b[at+n:], true
}

// expect is element for a known tag.
func expect(b []byte, want byte) (value, rest []byte, ok bool) {
	tag, value, rest, ok := element(b)
	return value, rest, ok && tag == want
}

// read takes in a certificate. fault says what is wrong when ok is false.
func (c *Certificate) read(der []byte) (fault applayer.Anomaly, ok bool) {
	c.reset()
	outer, _, ok := expect(der, tagSequence)
	if !ok {
		return applayer.AnomalyTLSCertificateInvalidDER, false
	}
	tbs, _, ok := expect(outer, tagSequence)
	if !ok {
		return applayer.AnomalyTLSCertificateInvalidDER, false
	}
	if len(tbs) > 0 && tbs[0] == tagVersion {
		if _, _, tbs, ok = element(tbs); !ok {
			return applayer.AnomalyTLSCertificateInvalidVersion, false
		}
	}
	serial, tbs, ok := expect(tbs, tagInteger)
	if !ok {
		return applayer.AnomalyTLSCertificateInvalidSerial, false
	}
	if _, tbs, ok = expect(tbs, tagSequence); !ok {
		return applayer.AnomalyTLSCertificateInvalidAlgorithmidentifier, false
	}
	issuer, tbs, ok := expect(tbs, tagSequence)
	if !ok {
		return applayer.AnomalyTLSCertificateInvalidIssuer, false
	}
	if c.Issuer, ok = appendName(c.Issuer, issuer); !ok {
		return applayer.AnomalyTLSCertificateInvalidX509name, false
	}
	validity, tbs, ok := expect(tbs, tagSequence)
	if !ok {
		return applayer.AnomalyTLSCertificateInvalidValidity, false
	}
	if c.NotBefore, validity, ok = readTime(validity); ok {
		c.NotAfter, _, ok = readTime(validity)
	}
	if !ok {
		return applayer.AnomalyTLSCertificateInvalidDate, false
	}
	subject, _, ok := expect(tbs, tagSequence)
	if !ok {
		return applayer.AnomalyTLSCertificateInvalidSubject, false
	}
	if c.Subject, ok = appendName(c.Subject, subject); !ok {
		return applayer.AnomalyTLSCertificateInvalidX509name, false
	}
	c.Serial = appendColons(c.Serial, serial[:min(len(serial), maxName)], "0123456789ABCDEF")
	c.present = true
	return noFault, true
}

func appendColons(b, value []byte, digits string) []byte {
	for i, v := range value {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[v>>4], digits[v&15])
	}
	return b
}

// readTime takes a UTCTime or a GeneralizedTime off b (RFC 5280, 4.1.2.5).
func readTime(b []byte) (seconds int64, rest []byte, ok bool) {
	tag, v, rest, ok := element(b)
	if !ok {
		return 0, nil, false
	}
	year, v, ok := 0, v, false
	switch tag {
	case tagUTCTime:
		if year, v, ok = digits(v, 2); year >= 50 {
			year += 1900
		} else {
			year += 2000
		}
	case tagGeneralTime:
		year, v, ok = digits(v, 4)
	}
	var part [5]int // month, day, hour, minute, second
	for i := 0; ok && i < len(part); i++ {
		if i == 4 && (len(v) == 0 || v[0] < '0' || v[0] > '9') {
			break // without seconds
		}
		part[i], v, ok = digits(v, 2)
	}
	if !ok || part[0] < 1 || part[0] > 12 || part[1] < 1 || part[1] > 31 || part[2] > 23 || part[3] > 59 || part[4] > 59 {
		return 0, nil, false
	}
	t := time.Date(year, time.Month(part[0]), part[1], part[2], part[3], part[4], 0, time.UTC)
	return t.Unix(), rest, true
}

// digits takes a number of n decimal digits off b.
func digits(b []byte, n int) (value int, rest []byte, ok bool) {
	if len(b) < n {
		return 0, nil, false
	}
	for _, c := range b[:n] {
		if c < '0' || c > '9' {
			return 0, nil, false
		}
		value = 10*value + int(c-'0')
	}
	return value, b[n:], true
}

// appendName appends a distinguished name (RFC 5280, 4.1.2.4): its parts in the order in which
// they stand, parts of several attributes with plus signs.
func appendName(dst, name []byte) (text []byte, ok bool) {
	for len(name) > 0 {
		set, rest, ok := expect(name, tagSet)
		if !ok {
			return dst, false
		}
		name = rest
		for first := true; len(set) > 0; first = false {
			attribute, more, ok := expect(set, tagSequence)
			if !ok {
				return dst, false
			}
			set = more
			oid, attribute, ok := expect(attribute, tagOID)
			if !ok {
				return dst, false
			}
			tag, value, _, ok := element(attribute)
			switch {
			case !ok:
				return dst, false
			case !first:
				dst = append(dst, " + "...)
			case len(dst) > 0:
				dst = append(dst, ", "...)
			}
			if dst, ok = appendValue(append(appendOID(dst, oid), '='), tag, value); !ok {
				return dst, false
			}
			if len(dst) > maxName {
				return dst[:maxName], true
			}
		}
	}
	return dst, true
}

// appendValue appends the value of an attribute: strings as text, others in hexadecimal digits.
func appendValue(dst []byte, tag byte, value []byte) (text []byte, ok bool) {
	switch tag {
	case tagBMPString:
		if len(value)%2 != 0 {
			return dst, false
		}
		for i := 0; i < len(value); i += 2 {
			r := rune(value[i])<<8 | rune(value[i+1])
			if utf16.IsSurrogate(r) && i+4 <= len(value) {
				r = utf16.DecodeRune(r, rune(value[i+2])<<8|rune(value[i+3]))
				i += 2
			}
			dst = utf8.AppendRune(dst, r)
		}
		return dst, true
	case tagUniversal:
		for ; len(value) >= 4; value = value[4:] {
			dst = utf8.AppendRune(dst, rune(value[0])<<24|rune(value[1])<<16|rune(value[2])<<8|rune(value[3]))
		}
		return dst, true
	case 0x0c, 0x12, 0x13, 0x14, 0x15, 0x16, 0x18, 0x19, 0x1a: // UTF8, Numeric, ... Visible
		return append(dst, value...), utf8.Valid(value)
	}
	start := len(dst)
	dst = hex.AppendEncode(dst, value)
	for i := start; i < len(dst); i++ {
		if dst[i] >= 'a' {
			dst[i] -= 'a' - 'A'
		}
	}
	return dst, true
}

// attributeNames are the names of attribute types, by their encoded object identifier (RFC 4519;
// RFC 2985, 5.2; CA/Browser Forum, EV guidelines 9.2).
var attributeNames = map[string]string{
	"\x55\x04\x03": "CN", "\x55\x04\x04": "surname", "\x55\x04\x05": "serialNumber", "\x55\x04\x06": "C",
	"\x55\x04\x07": "L", "\x55\x04\x08": "ST", "\x55\x04\x09": "streetAddress", "\x55\x04\x0a": "O",
	"\x55\x04\x0b": "OU", "\x55\x04\x0c": "title", "\x55\x04\x0d": "description", "\x55\x04\x0f": "businessCategory",
	"\x55\x04\x11": "postalCode", "\x55\x04\x29": "name", "\x55\x04\x2a": "givenName", "\x55\x04\x2b": "initials",
	"\x55\x04\x2c": "generationQualifier", "\x55\x04\x2e": "dnQualifier", "\x55\x04\x41": "pseudonym",
	"\x55\x04\x61":                                 "organizationIdentifier",
	"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01":         "emailAddress",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19":     "domainComponent",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01":     "userId",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01": "jurisdictionLocality",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02": "jurisdictionStateOrProvince",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03": "jurisdictionCountry",
}

// appendOID appends the name of an attribute type, or its numbers.
func appendOID(dst, oid []byte) []byte {
	if name, ok := attributeNames[string(oid)]; ok {
		return append(dst, name...)
	}
	n, first := uint64(0), true
	for _, c := range oid {
		n = n<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if first {
			top := min(n/40, 2)
			dst = append(appendUint(dst, top), '.')
			n -= 40 * top
			first = false
		} else {
			dst = append(dst, '.')
		}
		dst, n = appendUint(dst, n), 0
	}
	return dst
}

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }
