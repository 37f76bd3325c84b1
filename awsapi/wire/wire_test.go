package wire

import (
	stdjson "encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

const prefix = "NetworkFirewall_20201112."

func TestAbsentIsNotZero(t *testing.T) {
	for _, c := range []struct {
		name string
		v    any
		text string
	}{
		{"nil members are left out", &UpdateFirewallDeleteProtectionRequest{}, `{}`},
		{"false appears", &UpdateFirewallDeleteProtectionRequest{DeleteProtection: Ptr(false)}, `{"DeleteProtection":false}`},
		{"zero appears", &PortRange{FromPort: Ptr[int32](0), ToPort: Ptr[int32](0)}, `{"FromPort":0,"ToPort":0}`},
		{"empty string appears", &Tag{Key: Ptr("a"), Value: Ptr("")}, `{"Key":"a","Value":""}`},
		{"empty list appears", &ListTagsForResourceResponse{Tags: []Tag{}}, `{"Tags":[]}`},
		{"empty map appears", &RuleVariables{IPSets: map[string]IPSet{}}, `{"IPSets":{}}`},
		{"maps are sorted", &RuleVariables{IPSets: map[string]IPSet{"B": {}, "A": {Definition: []string{"10.0.0.0/8"}}}}, `{"IPSets":{"A":{"Definition":["10.0.0.0/8"]},"B":{}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := Encode(c.v)
			if err != nil || string(text) != c.text {
				t.Errorf("Encode: %s, %v, want %s", text, err, c.text)
			}
			back := reflect.New(reflect.TypeOf(c.v).Elem()).Interface()
			if err := Decode(text, back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.v, back); diff != "" {
				t.Errorf("Decode (-want +got):\n%s", diff)
			}
			// The standard library reads and writes the same, for records that embed these types.
			text, err = stdjson.Marshal(c.v)
			if err != nil || string(text) != c.text {
				t.Errorf("encoding/json: %s, %v, want %s", text, err, c.text)
			}
		})
	}
}

func TestTime(t *testing.T) {
	for _, c := range []struct{ text, utc string }{
		{"0", "1970-01-01T00:00:00Z"},
		{"1761998400", "2025-11-01T12:00:00Z"},
		{"1761998400.125", "2025-11-01T12:00:00.125Z"},
		{"1761998400.5", "2025-11-01T12:00:00.5Z"},
		{"-1.5", "1969-12-31T23:59:58.5Z"},
	} {
		var got Time
		if err := json.Unmarshal([]byte(c.text), &got); err != nil {
			t.Fatal(err)
		}
		if s := got.Format(time.RFC3339Nano); s != c.utc {
			t.Errorf("%s reads as %s, want %s", c.text, s, c.utc)
		}
		if text, err := json.Marshal(got); err != nil || string(text) != c.text {
			t.Errorf("%s is written as %s, %v", c.utc, text, err)
		}
	}
	for _, bad := range []string{`"2025-11-01T12:00:00Z"`, `1e300`, `{}`, `true`} {
		var got Time
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s reads as %s", bad, got)
		}
	}
}

func TestDecodeRequest(t *testing.T) {
	long := strings.Repeat("x", 513)
	for _, c := range []struct {
		name, op, body string
		want           string // "" when accepted, otherwise what the error begins with
	}{
		{"accepted", "DescribeFirewall", `{"FirewallName":"edge"}`, ""},
		{"empty body is an empty object", "ListFirewalls", ``, ""},
		{"unknown members are ignored", "ListFirewalls", `{"New":{"a":[1]}}`, ""},
		{"null is absent", "ListFirewalls", `{"VpcIds":null}`, ""},
		{"not JSON", "ListFirewalls", `{`, "SerializationException: The body must be one JSON object: "},
		{"not an object", "ListFirewalls", `[]`, "SerializationException: The value at / must be an object."},
		{"two values", "ListFirewalls", `{}{}`, "SerializationException: "},
		{"wrong type", "ListFirewalls", `{"MaxResults":"5"}`, "SerializationException: The value at /MaxResults must be a whole number of at most 32 bits."},
		{"wrong type in a list", "ListFirewalls", `{"VpcIds":["vpc-0",1]}`, "SerializationException: The value at /VpcIds/1 must be a string."},
		{"fraction", "ListFirewalls", `{"MaxResults":1.5}`, "SerializationException: "},
		{"overflow", "ListFirewalls", `{"MaxResults":4294967297}`, "SerializationException: "},
		{"member twice", "DescribeFirewall", `{"FirewallName":"a","FirewallName":"b"}`, "SerializationException: "},
		{"not UTF-8", "DescribeFirewall", "{\"FirewallName\":\"\xff\"}", "SerializationException: "},
		{"too much", "ListFirewalls", `{"a":[` + strings.Repeat("1,", maxCommas) + `1,1]}`, "SerializationException: "},
		{"too deep", "ListFirewalls", `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, "SerializationException: "},

		{"pattern", "CreateFirewallPolicy", `{"FirewallPolicyName":"edge_strict","FirewallPolicy":{"StatelessDefaultActions":[],"StatelessFragmentDefaultActions":[]}}`,
			`ValidationException: 1 validation error detected: Value 'edge_strict' at 'firewallPolicyName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9-]+$`},
		{"required", "TagResource", `{"ResourceArn":"arn:aws:x"}`,
			`ValidationException: 1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null`},
		{"two for one value", "UpdateTLSInspectionConfiguration", `{"TLSInspectionConfigurationName":"a","TLSInspectionConfiguration":{},"UpdateToken":""}`,
			`ValidationException: 2 validation errors detected: Value '' at 'updateToken' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'updateToken' failed to satisfy constraint: Member must satisfy regular expression pattern: `},
		{"number", "ListFirewalls", `{"MaxResults":0}`,
			`ValidationException: 1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1`},
		{"zero where it is allowed", "ListTagsForResource", `{"ResourceArn":"arn:aws:x","MaxResults":0}`, ""},
		{"enumeration", "DescribeRuleGroup", `{"Type":"BOTH"}`,
			`ValidationException: 1 validation error detected: Value 'BOTH' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [STATELESS, STATEFUL, STATEFUL_DOMAIN]`},
		{"characters, not bytes", "UpdateFirewallDescription", `{"Description":"` + strings.Repeat("ü", 512) + `"}`, ""},
		{"long value is cut", "UpdateFirewallDescription", `{"Description":"` + long + `"}`,
			`ValidationException: 1 validation error detected: Value '` + long[:200] + `...' at 'description' failed to satisfy constraint: Member must have length less than or equal to 512`},
		{"list element", "TagResource", `{"ResourceArn":"arn:aws:x","Tags":[{"Key":"a","Value":"b"},{"Key":"","Value":"c"}]}`,
			`ValidationException: 1 validation error detected: Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1`},
		{"list length", "TagResource", `{"ResourceArn":"arn:aws:x","Tags":[]}`,
			`ValidationException: 1 validation error detected: Value '[]' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1`},
		{"list of scalars", "UntagResource", `{"ResourceArn":"arn:aws:x","TagKeys":["a",""]}`,
			`ValidationException: 1 validation error detected: Value '[a, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ^.*$]`},
		{"map key", "CreateRuleGroup", `{"RuleGroupName":"a","Type":"STATEFUL","Capacity":1,"RuleGroup":{"RulesSource":{},"RuleVariables":{"IPSets":{"1A":{"Definition":["::/0"]}}}}}`,
			`ValidationException: 1 validation error detected: Value '{1A={...}}' at 'ruleGroup.ruleVariables.iPSets' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 32, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ^[A-Za-z][A-Za-z0-9_]*$]`},
		{"in a map's structure", "CreateRuleGroup", `{"RuleGroupName":"a","Type":"STATEFUL","Capacity":1,"RuleGroup":{"RulesSource":{},"RuleVariables":{"IPSets":{"A":{}}}}}`,
			`ValidationException: 1 validation error detected: Value null at 'ruleGroup.ruleVariables.iPSets.A.member.definition' failed to satisfy constraint: Member must not be null`},
		{"map value", "UpdateLoggingConfiguration", `{"LoggingConfiguration":{"LogDestinationConfigs":[{"LogType":"FLOW","LogDestinationType":"S3","LogDestination":{"bucketName":""}}]}}`,
			`ValidationException: 1 validation error detected: Value '{bucketName=}' at 'loggingConfiguration.logDestinationConfigs.1.member.logDestination' failed to satisfy constraint: Map value must satisfy constraint: [`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Lookup(prefix + c.op).DecodeRequest([]byte(c.body))
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != 400 {
				t.Errorf("%#v is no error of status 400", err)
			}
		})
	}
}

// TestViolationsAreBounded sends a request that is wrong in very many places.
func TestViolationsAreBounded(t *testing.T) {
	body := `{"ResourceArn":"arn:aws:x","Tags":[` + strings.Repeat(`{},`, 99_999) + `{}]}`
	_, err := Lookup(prefix + "TagResource").DecodeRequest([]byte(body))
	if err == nil || !strings.HasPrefix(err.Error(), "ValidationException: 200001 validation errors detected: ") {
		t.Fatalf("%.200v", err)
	}
	if n := len(err.Error()); n > 50*400 {
		t.Errorf("message has %d bytes", n)
	}
}

// TestShapesFitTypes walks every request type along the constraint table, which
// relies on members and fields standing in the same order, and compiles every
// pattern.
func TestShapesFitTypes(t *testing.T) {
	seen := make(map[string]bool)
	var walk func(typ reflect.Type, name string)
	walk = func(typ reflect.Type, name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		s, ok := shapes[name]
		if !ok {
			t.Fatalf("no shape %s", name)
		}
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		zero := reflect.New(typ).Elem()
		for _, c := range s.constraints {
			c.holds(zero) // compiles patterns; panics when the kind does not fit
		}
		switch {
		case s.members != nil:
			if typ.NumField() != len(s.members) {
				t.Fatalf("%s: %d fields, %d members", name, typ.NumField(), len(s.members))
			}
			for i, m := range s.members {
				if f := typ.Field(i).Name; !strings.EqualFold(f, m.name) || f[1:] != m.name[1:] {
					t.Fatalf("%s: field %s, member %s", name, f, m.name)
				}
				walk(typ.Field(i).Type, m.shape)
			}
		case s.key != "":
			walk(typ.Key(), s.key)
			walk(typ.Elem(), s.elem)
		case s.elem != "":
			walk(typ.Elem(), s.elem)
		}
	}
	count := 0
	for _, op := range Operations() {
		if strings.HasPrefix(op.Target(), prefix) {
			count++
		}
		// Named after the request and not the operation: two prefixes may use one name.
		request := reflect.TypeOf(op.NewRequest()).Elem().Name()
		walk(reflect.TypeOf(op.NewRequest()), request)
		if got, want := reflect.TypeOf(op.NewResponse()).Elem().Name(), strings.TrimSuffix(request, "Request")+"Response"; got != want {
			t.Errorf("%s answers %s", op.Target(), got)
		}
		if op.Result != "" {
			if f, ok := reflect.TypeOf(op.NewResponse()).Elem().FieldByName(op.Result); !ok || f.Type.Kind() != reflect.Slice {
				t.Errorf("%s: no list %s", op.Name, op.Result)
			}
		}
	}
	if count != 92 || len(seen) != len(shapes) {
		t.Errorf("%d operations of AWS, want 92; %d of %d shapes reached", count, len(seen), len(shapes))
	}
}

// TestNewerMembers: what AWS has added since is refused where nobody would act on it.
func TestNewerMembers(t *testing.T) {
	for _, c := range []struct{ operation, body, want string }{
		{"StartFlowFlush", `{"FirewallArn":"arn:aws:f","FlowFilters":[{}],"AvailabilityZoneId":"use1-az1"}`, ""},
		{"DeleteFirewall", `{"FirewallName":"a","DeleteAssociatedNatGateways":false}`, ""},
		{"DeleteFirewall", `{"FirewallName":"a","DeleteAssociatedNatGateways":true}`, "InvalidRequestException: DeleteAssociatedNatGateways is unsupported, context: DeleteAssociatedNatGateways"},
		{"DescribeRuleGroup", `{"RuleGroupName":"a","RuleOutputFormat":"RULES_STRING"}`, "InvalidRequestException: RuleOutputFormat is unsupported, context: RuleOutputFormat"},
		{"CreateFirewallPolicy", `{"FirewallPolicyName":"a","FirewallPolicy":{"StatelessDefaultActions":[],"StatelessFragmentDefaultActions":[],"Route53ResolvedIPValidation":{"Action":"DROP","DNSExpiryExceptionPolicy":"DROP","DNSFirewallRuleGroupId":"rslvr-frg-1"}}}`,
			"InvalidRequestException: Route53ResolvedIPValidation is unsupported, context: FirewallPolicy.Route53ResolvedIPValidation"},
		{"CreateTLSInspectionConfiguration", `{"TLSInspectionConfigurationName":"a","TLSInspectionConfiguration":{"ServerCertificateConfigurations":[{},{"Scopes":[{"DeploymentMode":"x"}]}]}}`,
			"ValidationException: 1 validation error detected: Value 'x' at 'tLSInspectionConfiguration.serverCertificateConfigurations.2.member.scopes.1.member.deploymentMode' failed to satisfy constraint: "},
		{"CreateTLSInspectionConfiguration", `{"TLSInspectionConfigurationName":"a","TLSInspectionConfiguration":{"ServerCertificateConfigurations":[{},{"Scopes":[{"DomainMatch":{"Domains":["a.example"]}}]}]}}`,
			"InvalidRequestException: DomainMatch is unsupported, context: TLSInspectionConfiguration.ServerCertificateConfigurations[1].Scopes[0].DomainMatch"},
	} {
		_, err := Named(c.operation).DecodeRequest([]byte(c.body))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (c.want == "" || !strings.HasSuffix(c.want, ": ") || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s %s\ngot  %s\nwant %s", c.operation, c.body, got, c.want)
		}
	}
}

func TestErrorBody(t *testing.T) {
	e := InvalidRequestException("%s is invalid, parameter: [%d]", "Capacity", 7)
	const want = `{"__type":"InvalidRequestException","Message":"Capacity is invalid, parameter: [7]"}`
	if got := string(e.Body()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if diff := cmp.Diff(e, ParseError(400, e.Body())); diff != "" {
		t.Error(diff)
	}
	if got := string(InternalServerError("\xff").Body()); !strings.Contains(got, "\uFFFD") {
		t.Errorf("%s", got)
	}
	for body, want := range map[string]*Error{
		`{"__type":"com.amazon.coral.validate#ValidationException","message":"m"}`: {"ValidationException", "m", 400},
		`<html>`: {"Bad Request", "the answer is not from this API", 400},
		`{}`:     {"Bad Request", "the answer is not from this API", 400},
	} {
		if diff := cmp.Diff(want, ParseError(400, []byte(body))); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

// FuzzDecodeRequest feeds one body to one operation: it may be refused only with
// the two exceptions of the wire, and what is accepted survives a round trip.
func FuzzDecodeRequest(f *testing.F) {
	all := Operations()
	for i := range all {
		f.Add(uint8(i), []byte(`{"MaxResults":1,"FirewallName":"a","Tags":[{"Key":"k","Value":"v"}]}`))
	}
	f.Add(uint8(0), []byte(`{"RuleGroup":{"RuleVariables":{"IPSets":{"A":{"Definition":[""]}}}}}`))
	f.Fuzz(func(t *testing.T, i uint8, body []byte) {
		op := &all[int(i)%len(all)]
		in, err := op.DecodeRequest(body)
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || (e.Code != "SerializationException" && e.Code != "ValidationException") {
				t.Fatalf("%#v", err)
			}
			if len(e.Message) > 100_000 {
				t.Fatalf("message of %d bytes", len(e.Message))
			}
			return
		}
		text, err := Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := op.DecodeRequest(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(in, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzTime(f *testing.F) {
	f.Add("1761998400.125")
	f.Add("-0.0005")
	f.Fuzz(func(t *testing.T, text string) {
		var v, again Time
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &again); err != nil || math.Abs(float64(v.Sub(again.Time))) > 0 {
			t.Fatalf("%s: %s, then %s, %v", text, v, again, err)
		}
	})
}

// Two prefixes have a StartFlowFlush; each is checked by its own members.
func TestOperationsThatShareTheirName(t *testing.T) {
	const body = `{"ExceptProtected":false,"FirewallArn":"arn:aws:f","FlowFilters":[],"MinimumFlowAgeInSeconds":1,"VpcEndpointId":"vpce-0"}`
	for _, target := range []string{"NetworkFirewall_20201112.StartFlowFlush", "Sluice_20261101.StartFlowFlush"} {
		op := Lookup(target)
		if _, err := op.DecodeRequest([]byte(body)); err != nil {
			t.Errorf("%s: %v", target, err)
		}
		_, err := op.DecodeRequest([]byte(`{"FirewallArn":"x"}`))
		if err == nil || !strings.Contains(err.Error(), "Value 'x' at 'firewallArn' failed") || !strings.Contains(err.Error(), "Value null at 'flowFilters' failed") {
			t.Errorf("%s with a wrong ARN and no filters: %v", target, err)
		}
	}
}
