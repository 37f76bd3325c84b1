package tls

import (
	"bytes"
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
	*c = Certificate{Subject: applayer.Recycle(c.Subject, keepBuffer), Issuer: applayer.Recycle(c.Issuer, keepBuffer), Serial: applayer.Recycle(c.Serial, keepBuffer)}
}

func (c *Certificate) memory() int { return cap(c.Subject) + cap(c.Issuer) + cap(c.Serial) }

// DER tags (X.690, 8.1.2).
const (
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagSequence    = 0x30
	tagSet         = 0x31
	tagUTCTime     = 0x17
	tagGeneralTime = 0x18
	tagBMPString   = 0x1e
	tagVersion     = 0xa0 // [0] of TBSCertificate
)

// maxName bounds what is kept of a distinguished name.
const maxName = 8 << 10

// element takes the first TLV off b. Tags of several bytes are not in use here.
func element(b []byte) (tag byte, value, rest []byte, f fault) {
	if len(b) < 2 {
		return 0, nil, nil, applayer.AnomalyTLSCertificateInvalidLength
	}
	tag, n, at := b[0], int(b[1]), 2
	if n >= 0x80 {
		k := n & 0x7f
		switch {
		case k == 0 || k > 4:
			return 0, nil, nil, applayer.AnomalyTLSCertificateInvalidDER
		case len(b) < 2+k:
			return 0, nil, nil, applayer.AnomalyTLSCertificateInvalidLength
		}
		n = 0
		for _, c := range b[2 : 2+k] {
			n = n<<8 | int(c)
		}
		at += k
	}
	if n > len(b)-at {
		return 0, nil, nil, applayer.AnomalyTLSInvalidCertificate
	}
	return tag, b[at : at+n], b[at+n:], noFault
}

// expect is element for a known tag; wrong says that it is another.
func expect(b []byte, want byte, wrong fault) (value, rest []byte, f fault) {
	tag, value, rest, f := element(b)
	if f == noFault && tag != want {
		f = wrong
	}
	return value, rest, f
}

// read takes in a certificate.
func (c *Certificate) read(der []byte) (f fault) {
	c.reset()
	const wrong = applayer.AnomalyTLSCertificateInvalidDER
	outer, _, f := expect(der, tagSequence, wrong)
	if f != noFault {
		return f
	}
	tbs, outer, f := expect(outer, tagSequence, wrong)
	if f != noFault {
		return f
	}
	if len(tbs) > 0 && tbs[0] == tagVersion {
		var version []byte
		if version, tbs, f = expect(tbs, tagVersion, wrong); f != noFault {
			return f
		}
		version, _, f = expect(version, tagInteger, applayer.AnomalyTLSCertificateInvalidVersion)
		if f == noFault && (len(version) != 1 || version[0] > 2) {
			f = applayer.AnomalyTLSCertificateInvalidVersion
		}
		if f != noFault {
			return f
		}
	}
	serial, tbs, f := expect(tbs, tagInteger, applayer.AnomalyTLSCertificateInvalidSerial)
	if f != noFault {
		return f
	}
	if tbs, f = algorithm(tbs); f != noFault {
		return f
	}
	issuer, tbs, f := expect(tbs, tagSequence, wrong)
	if f != noFault {
		return f
	}
	var ok bool
	if c.Issuer, ok = appendName(c.Issuer, issuer); !ok {
		return applayer.AnomalyTLSCertificateInvalidIssuer
	}
	validity, tbs, f := expect(tbs, tagSequence, wrong)
	if f == noFault {
		c.NotBefore, validity, f = readTime(validity)
	}
	if f == noFault {
		c.NotAfter, _, f = readTime(validity)
	}
	if f != noFault {
		return f
	}
	subject, tbs, f := expect(tbs, tagSequence, wrong)
	if f != noFault {
		return f
	}
	if c.Subject, ok = appendName(c.Subject, subject); !ok {
		return applayer.AnomalyTLSCertificateInvalidSubject
	}
	key, _, f := expect(tbs, tagSequence, wrong)
	if f == noFault {
		_, f = algorithm(key)
	}
	if f == noFault {
		outer, f = algorithm(outer)
	}
	if f == noFault {
		_, _, f = expect(outer, tagBitString, wrong)
	}
	if f != noFault {
		return f
	}
	c.Serial = appendColons(c.Serial, serial[:min(len(serial), maxName)], "0123456789ABCDEF")
	c.present = true
	return noFault
}

// algorithm takes an AlgorithmIdentifier off b (RFC 5280, 4.1.1.2).
func algorithm(b []byte) (rest []byte, f fault) {
	id, rest, f := expect(b, tagSequence, applayer.AnomalyTLSCertificateInvalidDER)
	if f == noFault {
		if _, _, _, f = element(id); f == applayer.AnomalyTLSInvalidCertificate {
			f = applayer.AnomalyTLSCertificateInvalidLength
		}
	}
	return rest, f
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
func readTime(b []byte) (seconds int64, rest []byte, f fault) {
	const wrong = applayer.AnomalyTLSCertificateInvalidDate
	tag, v, rest, f := element(b)
	if f != noFault {
		return 0, nil, wrong
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
		part[i], v, ok = digits(v, 2)
	}
	if !ok || string(v) != "Z" || part[0] < 1 || part[0] > 12 || part[1] < 1 || part[1] > 31 || part[2] > 23 || part[3] > 59 || part[4] > 59 {
		return 0, nil, wrong
	}
	t := time.Date(year, time.Month(part[0]), part[1], part[2], part[3], part[4], 0, time.UTC)
	return t.Unix(), rest, noFault
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
// they stand, parts of several attributes with plus signs. What cannot be read is left out, as in
// Suricata. ok is false for a name with a zero byte: those that compare it would see less.
func appendName(dst, name []byte) (text []byte, ok bool) {
	for len(name) > 0 && len(dst) < maxName {
		set, rest, f := expect(name, tagSet, applayer.AnomalyTLSCertificateInvalidX509name)
		if f != noFault {
			break
		}
		name = rest
		for start := len(dst); len(set) > 0; {
			oid, tag, value, more, ok := attribute(set)
			if !ok {
				break
			}
			set = more
			switch {
			case len(dst) > start:
				dst = append(dst, " + "...)
			case start > 0:
				dst = append(dst, ", "...)
			}
			if dst, ok = appendValue(append(appendOID(dst, oid), '='), tag, value); !ok {
				return append(dst[:0], "<X509Error: Invalid X.509 name>"...), true
			}
		}
	}
	return dst[:min(len(dst), maxName)], bytes.IndexByte(dst, 0) < 0
}

// attribute takes the first attribute off a set.
func attribute(set []byte) (oid []byte, tag byte, value, rest []byte, ok bool) {
	pair, rest, f := expect(set, tagSequence, applayer.AnomalyTLSCertificateInvalidX509name)
	if f != noFault {
		return nil, 0, nil, nil, false
	}
	if _, oid, pair, f = element(pair); f != noFault {
		return nil, 0, nil, nil, false
	}
	tag, value, _, f = element(pair)
	return oid, tag, value, rest, f == noFault && tag&0x1f != 0x1f
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
	case 0x0c, 0x12, 0x13, 0x14, 0x15, 0x16, 0x18, 0x19, 0x1a, 0x1b: // UTF8, Numeric, ... General
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

// attributeNames are Suricata's names of attribute types, by their encoded object identifier
// (RFC 4519; RFC 2985, 5; CA/Browser Forum, EV guidelines 9.2).
var attributeNames = map[string]string{
	"\x55\x04\x00": "objectClass", "\x55\x04\x01": "aliasedEntryName", "\x55\x04\x02": "knowledgeInformation",
	"\x55\x04\x03": "CN", "\x55\x04\x04": "surname", "\x55\x04\x05": "serialNumber", "\x55\x04\x06": "C",
	"\x55\x04\x07": "L", "\x55\x04\x08": "ST", "\x55\x04\x09": "streetAddress", "\x55\x04\x0a": "O",
	"\x55\x04\x0b": "OU", "\x55\x04\x0c": "title", "\x55\x04\x0d": "description", "\x55\x04\x0e": "searchGuide",
	"\x55\x04\x0f": "businessCategory", "\x55\x04\x10": "postalAddress", "\x55\x04\x11": "postalCode",
	"\x55\x04\x29": "name", "\x55\x04\x2a": "givenName", "\x55\x04\x2b": "initials",
	"\x55\x04\x2c": "generationQualifier", "\x55\x04\x2d": "uniqueIdentifier", "\x55\x04\x2e": "dnQualifier",
	"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01":         "Email",
	"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02":         "unstructuredName",
	"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07":         "challengePassword",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01":     "uid",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19":     "DC",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01": "msJurisdictionLocality",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02": "msJurisdictionStateOrProvince",
	"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03": "msJurisdictionCountry",
}

// appendOID appends the name of an attribute type, or its numbers.
func appendOID(dst, oid []byte) []byte {
	if name, ok := attributeNames[string(oid)]; ok {
		return append(dst, name...)
	}
	dst = append(dst, "OID("...)
	if len(oid) > 0 {
		dst = appendUint(append(appendUint(dst, uint64(oid[0]/40)), '.'), uint64(oid[0]%40))
		n := uint64(0)
		for i, c := range oid[1:] {
			n = n<<7 | uint64(c&0x7f)
			if c&0x80 == 0 || i == len(oid)-2 {
				dst, n = appendUint(append(dst, '.'), n), 0
			}
		}
	}
	return append(dst, ')')
}

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }
