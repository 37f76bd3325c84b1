package detect

import (
	"slices"
	"strings"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/rule"
)

// foldedKeywords are those that the parser has put where they belong: into Rule, or
// into the content that they modify.
var foldedKeywords = []string{
	"msg", "sid", "rev", "gid", "reference", "metadata", "priority", "classtype", "target", "requires",
	"nocase", "replace", "startswith", "endswith", "offset", "depth", "distance", "within", "fast_pattern", "rawbytes",
	"pkt_data", "base64_data", "prefilter",
}

// folded says whether a keyword asks for nothing more where it stands.
func folded(name string) bool {
	if slices.Contains(foldedKeywords, name) || isTransform(name) || packetBuffers[name] != nil {
		return true
	}
	if kw, _ := rule.Known(name); kw.Kind == rule.KindBufferModifier {
		name = kw.Buffer
	}
	return len(applayer.BuffersByName(name)) > 0
}

// stepKeywords are those that look into a buffer.
var stepKeywords = []string{
	"content", "uricontent", "byte_test", "byte_jump", "byte_extract", "byte_math", "isdataat", "bsize", "absent", "urilen", "pcre", "base64_decode", "dataset", "datarep",
}

// stateKeywords are those that remember, and ruleKeywords those about the rule
// itself or its flow.
var (
	stateKeywords = []string{"flowbits", "flowint", "flowvar", "pktvar", "xbits", "hostbits", "threshold", "detection_filter", "tag"}
	ruleKeywords  = []string{"decode-event", "stream-event", "engine-event", "ip_proto", "l3_proto", "flow", "app-layer-protocol", "app-layer-event", "geoip", "iprep", "bypass", "noalert", "alert"}
)

// Supports says whether rules may use a keyword, given by its canonical name.
// Some of its arguments may still be refused.
func Supports(keyword string) bool {
	_, compares := numberChecks[keyword]
	_, inWords := wordNumbers[keyword]
	_, looks := textKeywords[keyword]
	return compares || inWords || looks || len(applayer.NumbersByName(keyword)) > 0 || folded(keyword) || isFileTest(keyword) || slices.Contains(otherChecks, keyword) ||
		slices.Contains(stepKeywords, keyword) || slices.Contains(stateKeywords, keyword) || slices.Contains(ruleKeywords, keyword)
}

// reasons say why a keyword about packets and flows is not supported.
var reasons = map[string]string{
	"lua": "rules run no scripts", "nfq_set_mark": "packets are given no marks",
	"config": "logging cannot be switched off for a flow", "filestore": "files are not stored", "tls.store": "certificates are not stored",
	"frame": "parsers mark no frames", "asn1": "ASN.1 is not decoded", "filemagic": "types of files are not recognised by magic numbers",
	"file.magic":          "types of files are not recognised by magic numbers",
	"aws_domain_category": "AWS does not publish its categories", "aws_url_category": "AWS does not publish its categories",
}

// whyNot says why a keyword is not supported.
func whyNot(name string) string {
	if why, ok := reasons[name]; ok {
		return why
	}
	if kw, _ := rule.Known(name); len(kw.Protocols()) > 0 {
		return "no parser of " + strings.Join(kw.Protocols(), " or ") + " finds what it asks for"
	}
	return "nothing here finds what it asks for"
}
