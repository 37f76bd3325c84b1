package tls

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/sluicefw/sluice/engine/applayer"
)

// isGREASE reports whether v is one of the values that mean nothing (RFC 8701).
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// AppendJA3 appends the JA3 string of a ClientHello: version, ciphers, extensions, groups and
// point formats in decimal, without GREASE.
func (h *Hello) AppendJA3(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(h.Version), 10)
	for _, list := range [...][]uint16{h.Ciphers, h.Extensions, h.Groups} {
		b = appendDashed(append(b, ','), list)
	}
	b = append(b, ',')
	for i, p := range h.Points {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(p), 10)
	}
	return b
}

// AppendJA3S appends the JA3S string of a ServerHello.
func (h *Hello) AppendJA3S(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(h.Version), 10)
	b = appendDashed(append(b, ','), h.Ciphers)
	return appendDashed(append(b, ','), h.Extensions)
}

func appendDashed(b []byte, list []uint16) []byte {
	first := true
	for _, v := range list {
		if isGREASE(v) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		first = false
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return b
}

// Fingerprint is a JA3 or JA3S string with its hash.
type Fingerprint struct {
	text []byte
	hash [2 * md5.Size]byte
}

func (f *Fingerprint) reset() { f.text = applayer.Recycle(f.text, keepBuffer) }

// seal computes the hash of the text.
func (f *Fingerprint) seal() {
	sum := md5.Sum(f.text)
	hex.Encode(f.hash[:], sum[:])
}

// Text and Hash return both forms, empty before there is one.
func (f *Fingerprint) Text() []byte { return f.text }

// Hash returns the MD5 hash of Text in hexadecimal digits.
func (f *Fingerprint) Hash() []byte {
	if len(f.text) == 0 {
		return nil
	}
	return f.hash[:]
}

// AppendJA4 appends the JA4 fingerprint of a ClientHello, sent over TCP unless quic. It sorts
// h's lists of ciphers and extensions.
func (h *Hello) AppendJA4(b []byte, quic bool) []byte {
	transport := byte('t')
	if quic {
		transport = 'q'
	}
	name := byte('i')
	if len(h.SNI) > 0 {
		name = 'd'
	}
	h.Ciphers = slices.DeleteFunc(h.Ciphers, isGREASE)
	exts := slices.DeleteFunc(slices.Clone(h.Extensions), isGREASE)
	b = append(append(b, transport), ja4Version(h.Chosen())...)
	b = appendTwoDigits(append(b, name), len(h.Ciphers))
	b = appendTwoDigits(b, len(exts))
	b = h.appendALPN(b)

	var scratch [1024]byte
	slices.Sort(h.Ciphers)
	b = appendShortHash(append(b, '_'), appendHexList(scratch[:0], h.Ciphers))
	exts = slices.DeleteFunc(exts, func(e uint16) bool { return e == extServerName || e == extALPN })
	slices.Sort(exts)
	text := appendHexList(scratch[:0], exts)
	if len(h.Signatures) > 0 {
		text = appendHexList(append(text, '_'), h.Signatures)
	}
	return appendShortHash(append(b, '_'), text)
}

func ja4Version(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002, 0x0200:
		return "s2"
	}
	return "00"
}

func appendTwoDigits(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, '0'+byte(n/10), '0'+byte(n%10))
}

// appendALPN appends the first and the last byte of the first protocol's name, or of its
// hexadecimal form when one of them is no letter or digit.
func (h *Hello) appendALPN(b []byte) []byte {
	n := len(h.ALPN)
	if n == 0 {
		return append(b, "00"...)
	}
	first, last := h.ALPN[0], h.ALPN[n-1]
	if !isAlnum(first) || !isAlnum(last) {
		first, last = hexDigit(first>>4), hexDigit(last&15)
	}
	return append(b, first, last)
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func hexDigit(n byte) byte { return "0123456789abcdef"[n] }

func appendHexList(b []byte, list []uint16) []byte {
	first := true
	for _, v := range list {
		if isGREASE(v) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, hexDigit(byte(v>>12)), hexDigit(byte(v>>8&15)), hexDigit(byte(v>>4&15)), hexDigit(byte(v&15)))
	}
	return b
}

// appendShortHash appends the first 12 digits of the SHA-256 hash of text.
func appendShortHash(b, text []byte) []byte {
	sum := sha256.Sum256(text)
	return hex.AppendEncode(b, sum[:6])
}
