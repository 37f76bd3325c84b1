package detect

import (
	"bufio"
	stdbase64 "encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/rule"
)

// load reads a list: a value on each line, and after a comma its reputation.
func (d *dataSet) load(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 2*setString)
	n := 1
	for ; lines.Scan(); n++ {
		text, repText, hasRep := strings.Cut(strings.TrimSpace(lines.Text()), ",")
		if text == "" {
			continue
		}
		value, err := d.parse(text)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		var rep uint64
		if hasRep {
			if rep, err = strconv.ParseUint(strings.TrimSpace(repText), 10, 16); err != nil {
				return fmt.Errorf("line %d: the reputation after the comma is a number from 0 to 65535", n)
			}
		}
		if !d.add(value, uint16(rep)) {
			if _, found := d.find(value); !found {
				return fmt.Errorf("line %d: the set holds %d bytes at most; give it a larger memcap", n, d.memcap)
			}
		}
	}
	return lineError(n, lines.Err())
}

// lineError is why reading ended before line n did.
func lineError(n int, err error) error {
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("line %d: it is too long; write one value on each line", n)
	}
	return err
}

// parse reads a value as lists have them.
func (e *entries) parse(text string) (value []byte, err error) {
	switch e.kind {
	case rule.SetMD5, rule.SetSHA256:
		if value, err = hex.DecodeString(text); err != nil || !e.fits(value) {
			return nil, errors.New("that is no such hash in hexadecimal digits")
		}
	case rule.SetIPv4, rule.SetIP:
		a, err := netip.ParseAddr(text)
		value = a.Unmap().AsSlice()
		if err != nil || !e.fits(value) {
			return nil, errors.New("that is no such address")
		}
		return value, nil
	default:
		if value, err = stdbase64.StdEncoding.DecodeString(text); err != nil || !e.fits(value) {
			return nil, errors.New("strings are written in base64")
		}
	}
	return value, nil
}

// appendLine writes a value as parse reads it, in the form that Suricata writes. Reputations are
// not written, as they are not there.
func (e *entries) appendLine(line []byte, value string) []byte {
	switch e.kind {
	case rule.SetMD5, rule.SetSHA256:
		line = hex.AppendEncode(line, []byte(value))
	case rule.SetIPv4, rule.SetIP:
		a, _ := netip.AddrFromSlice([]byte(value)) // fits saw to the length
		line = append(line, a.StringExpanded()...)
	default:
		line = stdbase64.StdEncoding.AppendEncode(line, []byte(value))
	}
	return append(line, '\n')
}

// write writes the values one by one, so that no copy of all of them as text is made.
func (e *entries) write(out io.Writer, values []string) error {
	buffered := bufio.NewWriter(out)
	var line []byte
	for _, value := range values {
		line = e.appendLine(line[:0], value)
		if _, err := buffered.Write(line); err != nil {
			return err
		}
	}
	return buffered.Flush()
}
