package detect

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/rule"
)

// numberMatch is what a rule asks of a number of a transaction. Of several values one has to
// satisfy it.
type numberMatch struct {
	keyword string
	number  applayer.Number // what keyword stands for in the rule's protocol and direction
	test    func(in *Input, n uint64) bool
}

func (m *numberMatch) match(in *Input, tx applayer.Tx) bool {
	for i := 0; ; i++ {
		n, ok := tx.Number(m.number, i)
		if !ok {
			return false
		}
		if m.test(in, n) {
			return true
		}
	}
}

// wordNumbers are the keywords that compare a number in a form of their own, with the number that
// they are about.
var wordNumbers = map[string]struct {
	number string
	parse  func(value string) (test func(in *Input, n uint64) bool, err error)
}{
	"ssl_state":                    {"ssl_state", parseSSLState},
	"ssl_version":                  {"ssl_version", parseSSLVersion},
	"tls.version":                  {"ssl_version", parseTLSVersion},
	"tls_cert_notbefore":           {"tls_cert_notbefore", parseCertTime},
	"tls_cert_notafter":            {"tls_cert_notafter", parseCertTime},
	"tls_cert_expired":             {"tls_cert_notafter", func(string) (func(*Input, uint64) bool, error) { return certExpired, nil }},
	"dcerpc.opnum":                 {"dcerpc.opnum", parseOpnums},
	"mqtt.type":                    {"mqtt.type", oneOf(mqttTypes)},
	"mqtt.flags":                   {"mqtt.flags", bitsOf(map[string]uint64{"retain": 1, "dup": 8})},
	"mqtt.connect.flags":           {"mqtt.connect.flags", bitsOf(mqttConnectFlags)},
	"mqtt.connack.session_present": {"mqtt.connack.session_present", oneOf(map[string]uint64{"no": 0, "false": 0, "yes": 1, "true": 1})},

	"http2.frametype": {"http2.frametype", wordOrNumber(http2Frames, 8)},
	"http2.errorcode": {"http2.errorcode", wordOrNumber(http2Errors, 32)},

	"tls_cert_valid": {"tls_cert_notafter", func(string) (func(*Input, uint64) bool, error) { return certValid, nil }},
}

// newNumber compiles a keyword that compares a number of transactions; ok is false for others.
func newNumber(o *rule.Option) (m numberMatch, ok bool, err error) {
	if k, ok := wordNumbers[o.Name]; ok {
		test, err := k.parse(strings.ToLower(strings.Trim(o.Value, `"`)))
		if err != nil {
			err = fmt.Errorf("%s: %w", o.Name, err)
		}
		return numberMatch{keyword: k.number, test: test}, true, err
	}
	if setting, ok := o.Arg.(*rule.Setting); ok {
		return numberMatch{keyword: o.Name, test: func(_ *Input, n uint64) bool {
			return uint64(setting.ID) == n>>32 && setting.Value.Has(n&math.MaxUint32)
		}}, true, nil
	}
	want, ok := o.Arg.(rule.Numbers)
	if !ok || len(applayer.NumbersByName(o.Name)) == 0 {
		return m, false, nil
	}
	return numberMatch{keyword: o.Name, test: func(_ *Input, n uint64) bool { return want.Has(n) }}, true, nil
}

// sslStates are the words of ssl_state.
var sslStates = map[string]uint64{
	"client_hello": applayer.SSLClientHello, "server_hello": applayer.SSLServerHello,
	"client_keyx": applayer.SSLClientKeyExchange, "server_keyx": applayer.SSLServerKeyExchange, "unknown": applayer.SSLUnknown,
}

// parseSSLState reads words with bars or commas between them, each of which can be negated. As in
// Suricata, one that holds is enough.
func parseSSLState(value string) (test func(in *Input, n uint64) bool, err error) {
	var words, negated uint64
	for _, w := range strings.FieldsFunc(value, func(r rune) bool { return r == '|' || r == ',' }) {
		w, not := strings.CutPrefix(strings.TrimSpace(w), "!")
		bit, ok := sslStates[w]
		if !ok {
			return nil, fmt.Errorf("unknown state %q; use client_hello, server_hello, client_keyx, server_keyx or unknown", w)
		}
		words |= bit
		if not {
			negated |= bit
		}
	}
	if words == 0 {
		return nil, fmt.Errorf("no state is given; use client_hello, server_hello, client_keyx, server_keyx or unknown")
	}
	return func(_ *Input, n uint64) bool { return n&words^negated != 0 }, nil
}

var sslVersions = map[string]uint64{
	"sslv2": 0x0200, "sslv3": 0x0300, "tls1.0": 0x0301, "tls1.1": 0x0302, "tls1.2": 0x0303, "tls1.3": 0x0304,
}

// parseSSLVersion reads a list of versions, all of them negated or none.
func parseSSLVersion(value string) (test func(in *Input, n uint64) bool, err error) {
	var versions []uint64
	negated := 0
	for _, w := range strings.Split(value, ",") {
		w, not := strings.CutPrefix(strings.TrimSpace(w), "!")
		v, ok := sslVersions[w]
		if !ok {
			return nil, fmt.Errorf("unknown version %q; use sslv2, sslv3, tls1.0, tls1.1, tls1.2 or tls1.3", w)
		}
		versions = append(versions, v)
		if not {
			negated++
		}
	}
	if negated != 0 && negated != len(versions) {
		return nil, fmt.Errorf("some versions are negated and some are not; negate all or none")
	}
	return func(_ *Input, n uint64) bool { return slices.Contains(versions, n) == (negated == 0) }, nil
}

// parseTLSVersion reads one version: 1.2, or a number in hexadecimal.
func parseTLSVersion(value string) (test func(in *Input, n uint64) bool, err error) {
	want, ok := sslVersions["tls"+value]
	if !ok {
		hex, isHex := strings.CutPrefix(value, "0x")
		if want, err = strconv.ParseUint(hex, 16, 16); err != nil || !isHex {
			return nil, fmt.Errorf("unknown version %q; use 1.0, 1.1, 1.2 or 1.3", value)
		}
	}
	return func(_ *Input, n uint64) bool { return n == want }, nil
}

func certExpired(in *Input, n uint64) bool { return int64(n) <= in.Now/int64(time.Second) }
func certValid(in *Input, n uint64) bool   { return int64(n) >= in.Now/int64(time.Second) }

// parseCertTime reads a date, one with < or > before it, or two with <> between them.
func parseCertTime(value string) (test func(in *Input, n uint64) bool, err error) {
	from, to, isRange := strings.Cut(value, "<>")
	op := byte('=')
	if !isRange && (strings.HasPrefix(value, "<") || strings.HasPrefix(value, ">")) {
		op, from = value[0], value[1:]
	}
	a, err := certDate(from)
	if err != nil {
		return nil, err
	}
	if isRange {
		b, err := certDate(to)
		if err != nil {
			return nil, err
		}
		return func(_ *Input, n uint64) bool { return a <= int64(n) && int64(n) <= b }, nil
	}
	switch op {
	case '<':
		return func(_ *Input, n uint64) bool { return int64(n) <= a }, nil
	case '>':
		return func(_ *Input, n uint64) bool { return int64(n) >= a }, nil
	}
	return func(_ *Input, n uint64) bool { return int64(n) == a }, nil
}

var certDates = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15", "2006-01-02 15", "2006-01-02", "2006-01"}

// certDate reads a date to the month or finer, or seconds since 1970.
func certDate(text string) (seconds int64, err error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) > 4 {
		return n, nil
	}
	for _, layout := range certDates {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Unix(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a date such as 2025-01-31 or 2025-01-31 23:59:59", text)
}

// newAnomaly compiles app-layer-event.
func newAnomaly(name rule.AppEvent) (applayer.Anomaly, error) {
	a, ok := applayer.AnomalyByName(string(name))
	if !ok {
		return 0, unsupported("app-layer-event %s is not known to this version of Sluice", string(name))
	}
	return a, nil
}

// hasAnomaly says whether an event is about an anomaly: of its transaction, or of its flow.
func hasAnomaly(ev applayer.Event, a applayer.Anomaly) bool {
	if ev.Tx == nil {
		return ev.Hook == applayer.AnomalySeen && ev.Anomaly == a
	}
	return slices.Contains(ev.Tx.State().Anomalies, a)
}

// mqttTypes are the names of MQTT's control packets (MQTT 5.0, 2.1.2).
var mqttTypes = map[string]uint64{
	"connect": 1, "connack": 2, "publish": 3, "puback": 4, "pubrec": 5, "pubrel": 6, "pubcomp": 7, "subscribe": 8, "suback": 9,
	"unsubscribe": 10, "unsuback": 11, "pingreq": 12, "pingresp": 13, "disconnect": 14, "auth": 15,
}

// mqttConnectFlags are the flags of its CONNECT (MQTT 5.0, 3.1.2.3).
var mqttConnectFlags = map[string]uint64{"username": 0x80, "password": 0x40, "will_retain": 0x20, "will": 0x04, "clean_session": 0x02}

// oneOf reads one of some words.
func oneOf(words map[string]uint64) func(value string) (test func(in *Input, n uint64) bool, err error) {
	return func(value string) (func(in *Input, n uint64) bool, error) {
		want, ok := words[strings.TrimSpace(value)]
		if !ok {
			return nil, unknownWord(value, words)
		}
		return func(_ *Input, n uint64) bool { return n == want }, nil
	}
}

// bitsOf reads a list of words for bits, all of which must be set, or clear after an exclamation
// mark.
func bitsOf(words map[string]uint64) func(value string) (test func(in *Input, n uint64) bool, err error) {
	return func(value string) (func(in *Input, n uint64) bool, error) {
		var mask, want uint64
		for w := range strings.SplitSeq(value, ",") {
			w, not := strings.CutPrefix(strings.TrimSpace(w), "!")
			bit, ok := words[w]
			if !ok {
				return nil, unknownWord(w, words)
			}
			mask |= bit
			if !not {
				want |= bit
			}
		}
		return func(_ *Input, n uint64) bool { return n&mask == want }, nil
	}
}

func unknownWord(word string, words map[string]uint64) error {
	return fmt.Errorf("unknown word %q; use one of %s", word, strings.Join(slices.Sorted(maps.Keys(words)), ", "))
}

// parseOpnums reads a list of numbers and ranges, whose ends are part of them.
func parseOpnums(value string) (test func(in *Input, n uint64) bool, err error) {
	var ranges [][2]uint64
	for part := range strings.SplitSeq(value, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || a > b {
			return nil, fmt.Errorf("%q is neither a number up to 65535 nor a range such as 3-7", part)
		}
		ranges = append(ranges, [2]uint64{a, b})
	}
	return func(_ *Input, n uint64) bool {
		return slices.ContainsFunc(ranges, func(r [2]uint64) bool { return r[0] <= n && n <= r[1] })
	}, nil
}

// http2Frames are the names of HTTP/2's types of frames (RFC 9113, 6), as Suricata writes them.
var http2Frames = map[string]uint64{
	"data": 0, "headers": 1, "priority": 2, "rststream": 3, "settings": 4, "pushpromise": 5, "ping": 6, "goaway": 7, "windowupdate": 8, "continuation": 9,
}

// http2Errors are the names of its error codes (RFC 9113, 7) that Suricata has: INTERNAL_ERROR, 2, is not among them.
var http2Errors = map[string]uint64{
	"no_error": 0, "protocol_error": 1, "flow_control_error": 3, "settings_timeout": 4, "stream_closed": 5, "frame_size_error": 6, "refused_stream": 7,
	"cancel": 8, "compression_error": 9, "connect_error": 10, "enhance_your_calm": 11, "inadequate_security": 12, "http_1_1_required": 13,
}

// wordOrNumber reads one of some words, or a number of so many bits.
func wordOrNumber(words map[string]uint64, bits int) func(value string) (test func(in *Input, n uint64) bool, err error) {
	return func(value string) (func(in *Input, n uint64) bool, error) {
		if want, err := strconv.ParseUint(strings.TrimSpace(value), 10, bits); err == nil {
			return func(_ *Input, n uint64) bool { return n == want }, nil
		}
		return oneOf(words)(value)
	}
}
