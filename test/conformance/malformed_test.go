package conformance_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/onebox"
)

var seed = flag.Uint64("seed", 20261101, "of the malformed requests")

// malformed is how many requests TestMalformedRequests sends.
const malformed = 10_000

const prefix = "arn:aws:network-firewall:us-east-1:123456789012:"

// texts are strings that requests are made of: what operations look for, and
// what nobody should send.
var texts = []string{
	"edge", "a-name-that-nobody-has", "", " ", "\x00", "a\nb", "../../etc/passwd", "%s%n", strings.Repeat("A", 300), "\u202e\U0001F525", "$HOME_NET", "!any", "[1:",
	prefix + "firewall/edge", prefix + "firewall-policy/edge", prefix + "stateful-rulegroup/edge",
	"arn:aws:network-firewall:us-east-1:999999999999:stateless-rulegroup/", "arn:aws", "arn:aws:::::",
	"STATEFUL", "STATELESS", "DROP", "PASS", "TCP", "any", "6", "10.0.0.0/8", "10.0.0.0/99", "::/0", "1:70000", "443", "aws:drop", "aws:forward_to_sfe",
	"00000000-0000-4000-8000-000000000000", "vpc-1", "subnet-1", "us-east-1a", "AAAA", "HOME_NET",
	`pass tcp any any -> any any (sid:1;)`, `drop tls any any -> any any (tls.sni; content:"x|00"; sid:18446744073709551616;)`,
	`alert http any any -> any any (pcre:"/(a+)+$/"; content:!""; sid:-1;`, `{"Version":"2012-10-17","Statement":[{}]}`, `{"Statement":`,
}

// likely are texts that members take whose name ends so; most requests should get
// past the model's own checks.
var likely = []struct {
	suffix string
	texts  []string
}{
	{"FirewallPolicyArn", []string{prefix + "firewall-policy/edge"}},
	{"FirewallArn", []string{prefix + "firewall/edge"}},
	{"RuleGroupArn", []string{prefix + "stateful-rulegroup/edge", prefix + "stateless-rulegroup/edge"}},
	{"Arn", []string{prefix + "firewall/edge", prefix + "stateful-rulegroup/edge", prefix + "vpc-endpoint-association/x"}},
	{"ActionName", []string{"count"}}, {"Name", []string{"edge", "other"}},
	{"Token", []string{"00000000-0000-4000-8000-000000000000"}}, {"OperationId", []string{"00000000-0000-4000-8000-000000000000"}},
	{"VpcId", []string{"vpc-1"}}, {"SubnetId", []string{"subnet-1", "subnet-2"}}, {"SubnetIds", []string{"subnet-1"}}, {"VpcEndpointId", []string{"vpce-1"}},
	{"TransitGatewayId", []string{"tgw-1"}}, {"TransitGatewayAttachmentId", []string{"tgw-attach-1"}}, {"AddressDefinition", []string{"10.0.0.0/8", "fd00::/8", "9.9.9.999"}},
	{"RuleOrder", []string{"STRICT_ORDER", "DEFAULT_ACTION_ORDER"}}, {"StreamExceptionPolicy", []string{"DROP", "REJECT", "CONTINUE"}},
	{"LogType", []string{"ALERT", "FLOW", "TLS"}}, {"LogDestinationType", []string{"S3", "CloudWatchLogs"}}, {"AnalysisType", []string{"TLS_SNI"}}, {"AnalysisTypes", []string{"HTTP_HOST"}},
	{"Direction", []string{"ANY", "FORWARD"}}, {"Protocol", []string{"TCP", "UDP", "IP"}}, {"Action", []string{"PASS", "DROP", "ALERT"}}, {"IPAddressType", []string{"IPV4"}},
	{"TargetTypes", []string{"TLS_SNI", "HTTP_HOST"}}, {"GeneratedRulesType", []string{"ALLOWLIST", "DENYLIST"}}, {"Flags", []string{"SYN", "ACK"}}, {"Masks", []string{"SYN", "RST"}},
}

// text is one that a member may be given.
func text(member string, r *rand.Rand) string {
	if r.IntN(12) > 0 {
		for _, l := range likely {
			if strings.HasSuffix(member, l.suffix) {
				return l.texts[r.IntN(len(l.texts))]
			}
		}
	}
	return texts[r.IntN(len(texts))]
}

var numbers = []int64{0, 1, -1, 100, 101, 65535, 65536, 1000, math.MaxInt32, math.MinInt32, 1 << 40}

// fill sets v, a member of that name, to something that the wire's types allow.
func fill(v reflect.Value, name string, r *rand.Rand, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if depth > 12 || r.IntN(4) == 0 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, r, depth+1)
	case reflect.Struct:
		if at, ok := v.Addr().Interface().(*wire.Time); ok {
			at.Time = time.Unix(r.Int64N(1<<33), 0)
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name, r, depth+1)
		}
	case reflect.Slice:
		if depth > 12 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			fill(v.Index(i), name, r, depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, name+"Key", r, depth+1)
			fill(value, name, r, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(text(name, r))
	case reflect.Int32, reflect.Int64:
		if n := numbers[r.IntN(len(numbers))]; !v.OverflowInt(n) {
			v.SetInt(n)
		}
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	}
}

// spoil makes something else of JSON text.
func spoil(text []byte, r *rand.Rand) []byte {
	if len(text) == 0 {
		return []byte("{")
	}
	at := r.IntN(len(text))
	switch r.IntN(8) {
	case 0: // cut off
		return text[:at]
	case 1: // a byte changed
		text[at] = byte(r.IntN(256))
	case 2: // a part twice
		return append(append(bytes.Clone(text[:at]), text[at/2:]...), text[at:]...)
	case 3: // deep
		n := 1 + r.IntN(20_000)
		return []byte(strings.Repeat(`{"FirewallPolicy":`, n) + strings.Repeat("[", n))
	case 4: // strings become numbers
		return bytes.ReplaceAll(text, []byte(`"edge"`), []byte("1e999"))
	case 5: // null
		return bytes.ReplaceAll(text, []byte(`{"`), []byte(`{"Type":null,"`))
	case 6: // members twice
		return append(append([]byte(`{"FirewallName":"edge","FirewallName":"edge",`), text[1:]...), '}')
	case 7: // not JSON
		return []byte{byte(r.IntN(256)), byte(r.IntN(256)), 0, 0xff}
	}
	return text
}

// post makes a request that keeps HTTP's side of the protocol.
func post(url, target string, body []byte) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"X-Amz-Target": {target}, "Content-Type": {"application/x-amz-json-1.0"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=dev/20260101/us-east-1/network-firewall/aws4_request, SignedHeaders=host, Signature=00"},
	}
	return req, nil
}

// request makes one request that may be anything.
func request(r *rand.Rand, url string) (*http.Request, error) {
	operations := wire.Operations()
	op := operations[r.IntN(len(operations))]
	in := op.NewRequest()
	fill(reflect.ValueOf(in).Elem(), "", r, 0)
	body, err := wire.Encode(in)
	if err != nil {
		body = []byte("{}") // a text that is no UTF-8
	}
	if r.IntN(3) == 0 {
		body = spoil(body, r)
	}
	req, err := post(url, op.Target(), body)
	if err != nil {
		return nil, err
	}
	switch r.IntN(40) {
	case 0:
		req.Method = []string{"GET", "PUT", "DELETE", "OPTIONS", "X"}[r.IntN(5)]
	case 1:
		req.URL.Path = []string{"/x", "//", "/%00", "/metrics/x"}[r.IntN(4)]
	case 2:
		req.Header.Del("X-Amz-Target")
	case 3:
		req.Header.Set("X-Amz-Target", []string{"", ".", op.Name, op.Prefix + ".", strings.Repeat("x", 5000)}[r.IntN(5)])
	case 4:
		req.Header.Set("Content-Type", []string{"", "text/plain", "application/x-amz-json-1.0; charset", ";;"}[r.IntN(4)])
	case 5:
		req.Header.Set("Authorization", []string{"", "Basic eDp5", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;, Signature="}[r.IntN(4)])
	}
	return req, nil
}

// alarms collects what the API logs of requests that failed for no fault of the client.
type alarms struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Write takes one line. Only the API's own are meant: flow operations on
// firewalls that are deleted meanwhile may well fail.
func (a *alarms) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte("api request failed inside")) && !bytes.Contains(p, []byte("panic")) {
		return len(p), nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.text.Write(p)
}

// Whatever is sent, the answer is the API's, and the client's fault.
func TestMalformedRequests(t *testing.T) {
	t.Logf("-seed %d", *seed)
	var errors alarms
	box, err := onebox.Start(t.Context(), onebox.Options{
		Dir: t.TempDir(), Dev: true, Logger: slog.New(slog.NewTextHandler(&errors, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()

	const clients = 4
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	for _, r := range [][2]string{
		{"CreateRuleGroup", `{"RuleGroupName":"edge","Type":"STATEFUL","Capacity":100,"Rules":"pass tcp any any -> any any (sid:1;)"}`},
		{"CreateFirewallPolicy", `{"FirewallPolicyName":"edge","FirewallPolicy":{"StatelessDefaultActions":["aws:drop"],"StatelessFragmentDefaultActions":["aws:drop"],
			"StatefulRuleGroupReferences":[{"ResourceArn":"` + prefix + `stateful-rulegroup/edge"}]}}`},
		{"CreateFirewall", `{"FirewallName":"edge","FirewallPolicyArn":"` + prefix + `firewall-policy/edge","VpcId":"vpc-1","SubnetMappings":[{"SubnetId":"subnet-1"}],
			"DeleteProtection":true,"FirewallPolicyChangeProtection":true}`},
	} {
		req, err := post(box.URL(), wire.Named(r[0]).Target(), []byte(r[1]))
		if err != nil {
			t.Fatal(err)
		}
		if code, err := answer(transport, req); code != "OK" {
			t.Fatalf("%s: %s, %v", r[0], code, err)
		}
	}
	outcomes := make([]map[string]int, clients)
	var running sync.WaitGroup
	for i := range clients {
		outcomes[i] = map[string]int{}
		running.Go(func() {
			r := rand.New(rand.NewPCG(*seed, uint64(i)))
			for range malformed / clients {
				req, err := request(r, box.URL())
				if err != nil {
					t.Error(err)
					return
				}
				code, err := answer(transport, req)
				outcomes[i][code]++
				if err != nil {
					t.Errorf("%s %s: %v", req.Method, req.Header.Get("X-Amz-Target"), err)
				}
			}
		})
	}
	running.Wait()
	total := map[string]int{}
	for _, o := range outcomes {
		for code, n := range o {
			total[code] += n
		}
	}
	t.Logf("%v", total)
	if total["OK"] == 0 || total["ValidationException"] == 0 || total["SerializationException"] == 0 || total["InvalidRequestException"] == 0 {
		t.Error("the requests do not get as far as they should")
	}
	errors.mu.Lock()
	defer errors.mu.Unlock()
	if errors.text.Len() > 0 {
		t.Errorf("logged as errors:\n%.10000s", errors.text.String())
	}
}

// answer sends a request and returns the code of the answer, and as an error
// what is wrong with that.
func answer(transport *http.Transport, req *http.Request) (string, error) {
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "none", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "none", err
	}
	if resp.StatusCode == http.StatusOK {
		return "OK", nil
	}
	var e struct {
		Type    string `json:"__type"`
		Message string
	}
	if resp.StatusCode >= 500 {
		return e.Type, fmt.Errorf("status %s: %s", resp.Status, body)
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return "redirect", nil // of paths that are not clean, before the API
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" || e.Message == "" {
		return "unreadable", fmt.Errorf("status %s: %q", resp.Status, body)
	}
	return e.Type, nil
}
