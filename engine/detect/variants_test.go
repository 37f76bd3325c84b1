package detect

import (
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
)

func TestVariants(t *testing.T) {
	for _, test := range []struct {
		rule string
		want []applayer.Hook
	}{
		{`alert tcp any any -> any any (http.host; content:"x"; http.uri; content:"y"; sid:1;)`, []applayer.Hook{applayer.HTTPRequestHeaders, applayer.HTTP2Request}},
		{`alert http any any -> any any (http.host; content:"x"; sid:1;)`, []applayer.Hook{applayer.HTTPRequestHeaders, applayer.HTTP2Request}},
		{`alert http1 any any -> any any (http.host; content:"x"; sid:1;)`, []applayer.Hook{applayer.HTTPRequestHeaders}},
		{`alert http2 any any -> any any (http.host; content:"x"; sid:1;)`, []applayer.Hook{applayer.HTTP2Request}},
		{`alert http any any -> any any (content:"x"; http_uri; sid:1;)`, []applayer.Hook{applayer.HTTPRequestLine}},
		{`alert tcp any any -> any any (uricontent:"x"; http.host; content:"y"; sid:1;)`, []applayer.Hook{applayer.HTTPRequestHeaders}},
		{`alert http any any -> any any (flow:to_client; http2.frametype:settings; sid:1;)`, []applayer.Hook{applayer.HTTP2ResponseFrames}},
		{`alert tcp any any -> any any (file.name; content:"x"; sid:1;)`, []applayer.Hook{
			applayer.HTTPRequestBody, applayer.HTTPResponseBody, applayer.SMBFileWritten, applayer.SMBFileRead, applayer.SMTPFile,
		}},
		{`alert http any any -> any any (file.name; content:"x"; sid:1;)`, []applayer.Hook{applayer.HTTPRequestBody, applayer.HTTPResponseBody}},
		{`alert dns any any -> any any (flow:to_server; dns.query; content:"x"; sid:1;)`, []applayer.Hook{applayer.DNSRequest}},
	} {
		set, err := Compile(sources(t, test.rule), Options{})
		if err != nil {
			t.Errorf("%s: %v", test.rule, err)
			continue
		}
		rules := set.Rules()
		if len(rules) != len(test.want) {
			t.Errorf("%s: %d variants, want %d", test.rule, len(rules), len(test.want))
			continue
		}
		for i := range rules {
			if rules[i].hook != test.want[i] {
				t.Errorf("%s: variant %d at %v, want %v", test.rule, i, rules[i].hook, test.want[i])
			}
		}
	}
}
