package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// db is one embedded store for all tests; each test has an account of its own.
var db *store.Store

var accounts atomic.Int64

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "control")
	if err == nil {
		db, err = store.Open(context.Background(), store.Options{Dir: dir})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	db.Close()
	os.RemoveAll(dir)
	os.Exit(code)
}

// world is an account with a Control and a clock that tests move.
type world struct {
	*Control
	t   *testing.T
	now time.Time
}

func newWorld(t *testing.T, edit func(*Options)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	o := Options{
		Store: db, Scope: resource.Scope{Account: fmt.Sprintf("%012d", accounts.Add(1)), Region: "us-east-1"}, Zone: "us-east-1a",
		SubnetZones: map[string]string{"subnet-b": "us-east-1b"},
		Clock:       func() time.Time { return w.now },
	}
	if edit != nil {
		edit(&o)
	}
	w.Control = New(o)
	return w
}

// request reads a request as a client would send it.
func request[T any](t *testing.T, text string, args ...any) *T {
	t.Helper()
	in := new(T)
	if err := wire.Decode(fmt.Appendf(nil, text, args...), in); err != nil {
		t.Fatal(err)
	}
	return in
}

// do runs an operation that must succeed. JSON is the request.
func do[I, O any](w *world, op func(context.Context, wire.Caller, *I) (*O, error), text string, args ...any) *O {
	w.t.Helper()
	out, err := op(w.t.Context(), wire.Caller{}, request[I](w.t, text, args...))
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// fail runs an operation that must be refused with this code, and with a text
// that begins like this.
func fail[I, O any](w *world, op func(context.Context, wire.Caller, *I) (*O, error), code, message, text string, args ...any) {
	w.t.Helper()
	_, err := op(w.t.Context(), wire.Caller{}, request[I](w.t, text, args...))
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code || !strings.HasPrefix(e.Message, message) {
		w.t.Errorf("got %v\nwant %s: %s", err, code, message)
	}
}

const (
	errInvalid   = "InvalidRequestException"
	errOperation = "InvalidOperationException"
	errToken     = "InvalidTokenException"
	errMissing   = "ResourceNotFoundException"
)

// statefulGroup creates a strict group and returns its ARN.
func (w *world) statefulGroup(name string) string {
	w.t.Helper()
	return *do(w, w.CreateRuleGroup, `{"RuleGroupName":%q,"Type":"STATEFUL","Capacity":100,"RuleGroup":{"RulesSource":{"RulesString":"pass tcp any any -> any 443 (sid:1;)"},"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}}}`, name).RuleGroupResponse.RuleGroupArn
}

// strictPolicy creates a strict policy with the groups and returns its ARN.
func (w *world) strictPolicy(name string, groups ...string) string {
	w.t.Helper()
	return *do(w, w.CreateFirewallPolicy, `{"FirewallPolicyName":%q,"FirewallPolicy":%s}`, name, policyJSON(groups...)).FirewallPolicyResponse.FirewallPolicyArn
}

func policyJSON(groups ...string) string {
	var refs []string
	for i, g := range groups {
		refs = append(refs, fmt.Sprintf(`{"ResourceArn":%q,"Priority":%d}`, g, i+1))
	}
	return `{"StatelessDefaultActions":["aws:forward_to_sfe"],"StatelessFragmentDefaultActions":["aws:drop"],"StatefulEngineOptions":{"RuleOrder":"STRICT_ORDER"},"StatefulRuleGroupReferences":[` +
		strings.Join(refs, ",") + `]}`
}

// newFirewall creates a firewall in the subnets and returns its ARN.
func (w *world) newFirewall(name, policyARN string, subnets ...string) string {
	w.t.Helper()
	var mappings []string
	for _, s := range subnets {
		mappings = append(mappings, fmt.Sprintf(`{"SubnetId":%q}`, s))
	}
	return *do(w, w.CreateFirewall, `{"FirewallName":%q,"FirewallPolicyArn":%q,"VpcId":"vpc-0a","SubnetMappings":[%s]}`, name, policyARN, strings.Join(mappings, ",")).Firewall.FirewallArn
}

// node registers an engine node until the test ends: nodes are of all accounts.
func (w *world) node(zone, id string) {
	w.t.Helper()
	key := w.scope.Node(zone, id)
	w.put(key, resource.Node{ID: id, Zone: zone})
	w.t.Cleanup(func() {
		if err := db.Delete(context.Background(), key); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) put(key string, value any) {
	w.t.Helper()
	if _, err := db.Put(w.t.Context(), key, value, 0); err != nil {
		w.t.Fatal(err)
	}
}

func TestRuleGroupLife(t *testing.T) {
	w := newWorld(t, nil)
	const body = `{"RuleGroupName":"g","Type":"STATEFUL","Capacity":10,"Rules":"pass tcp any any -> any 1 (sid:1;)\npass tcp any any -> any 2 (sid:2;)","Description":"d"%s}`
	dry := do(w, w.CreateRuleGroup, body, `,"DryRun":true`)
	if *dry.RuleGroupResponse.ConsumedCapacity != 2 {
		t.Errorf("dry run: %+v", dry.RuleGroupResponse)
	}
	fail(w, w.DescribeRuleGroup, errMissing, "", `{"RuleGroupName":"g","Type":"STATEFUL"}`)

	created := do(w, w.CreateRuleGroup, body, "")
	g := created.RuleGroupResponse
	if want := "arn:aws:network-firewall:us-east-1:" + w.scope.Account + ":stateful-rulegroup/g"; *g.RuleGroupArn != want {
		t.Errorf("ARN %s, want %s", *g.RuleGroupArn, want)
	}
	if g.Tags != nil || *g.NumberOfAssociations != 0 || *g.RuleGroupStatus != "ACTIVE" || *g.Capacity != 10 || *g.ConsumedCapacity != 2 || *g.EncryptionConfiguration.Type != "AWS_OWNED_KMS_KEY" {
		t.Errorf("created: %+v", g)
	}
	fail(w, w.CreateRuleGroup, errInvalid, "A resource with the specified name already exists", body, "")
	// The other kind has names of its own.
	do(w, w.CreateRuleGroup, `{"RuleGroupName":"g","Type":"STATELESS","Capacity":10,"RuleGroup":{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[]}}}}`)

	for _, in := range []string{
		fmt.Sprintf(`{"RuleGroupArn":%q}`, *g.RuleGroupArn), `{"RuleGroupName":"g","Type":"STATEFUL"}`,
		fmt.Sprintf(`{"RuleGroupArn":%q,"RuleGroupName":"g","Type":"STATEFUL"}`, *g.RuleGroupArn),
	} {
		d := do(w, w.DescribeRuleGroup, "%s", in)
		if *d.UpdateToken != *created.UpdateToken || !strings.Contains(*d.RuleGroup.RulesSource.RulesString, "sid:2") || d.RuleGroupResponse.Tags == nil {
			t.Errorf("%s: %+v", in, d)
		}
	}
	fail(w, w.DescribeRuleGroup, errInvalid, "RuleGroupArn, RuleGroupName cannot be null", `{"Type":"STATEFUL"}`)
	fail(w, w.DescribeRuleGroup, errInvalid, "Type cannot be null", `{"RuleGroupName":"g"}`)
	fail(w, w.DescribeRuleGroup, errInvalid, "RuleGroupArn, RuleGroupName are not of the same resource", `{"RuleGroupArn":%q,"RuleGroupName":"h"}`, *g.RuleGroupArn)
	fail(w, w.DescribeRuleGroup, errInvalid, "Resource ARN has an invalid format", `{"RuleGroupArn":"arn:aws:x"}`)
	fail(w, w.DescribeRuleGroup, errInvalid, "Resource ARN has an invalid format", `{"RuleGroupArn":"%s/../g"}`, *g.RuleGroupArn)
	fail(w, w.DescribeRuleGroup, errMissing, "", `{"RuleGroupArn":%q}`, strings.Replace(*g.RuleGroupArn, "us-east-1", "us-west-1", 1))

	const update = `{"RuleGroupName":"g","Type":"STATEFUL","UpdateToken":%q,"Rules":"pass tcp any any -> any 3 (sid:3;)"}`
	updated := do(w, w.UpdateRuleGroup, update, *created.UpdateToken)
	if *updated.UpdateToken == *created.UpdateToken || *updated.RuleGroupResponse.ConsumedCapacity != 1 || updated.RuleGroupResponse.Description != nil {
		t.Errorf("updated: %+v", updated.RuleGroupResponse)
	}
	fail(w, w.UpdateRuleGroup, errToken, "The update token is stale", update, *created.UpdateToken)
	fail(w, w.UpdateRuleGroup, errInvalid, "StatefulRuleOptions has invalid rule order",
		`{"RuleGroupName":"g","Type":"STATEFUL","UpdateToken":%q,"RuleGroup":{"RulesSource":{"RulesString":""},"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}}}`, *updated.UpdateToken)
	fail(w, w.UpdateRuleGroup, errInvalid, "RuleGroup, Rules must set exactly one", `{"RuleGroupName":"g","Type":"STATEFUL","UpdateToken":%q}`, *updated.UpdateToken)
	m := do(w, w.DescribeRuleGroupMetadata, `{"RuleGroupName":"g","Type":"STATEFUL"}`)
	if *m.StatefulRuleOptions.RuleOrder != "DEFAULT_ACTION_ORDER" || *m.Capacity != 10 {
		t.Errorf("metadata: %+v", m)
	}
	deleted := do(w, w.DeleteRuleGroup, `{"RuleGroupArn":%q}`, *g.RuleGroupArn).RuleGroupResponse
	if *deleted.RuleGroupStatus != "DELETING" || deleted.ConsumedCapacity != nil {
		t.Errorf("deleted: %+v", deleted)
	}
	fail(w, w.DeleteRuleGroup, errMissing, "", `{"RuleGroupArn":%q}`, *g.RuleGroupArn)
}

func TestRulesOnStrictGroup(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.statefulGroup("g")
	d := do(w, w.DescribeRuleGroup, `{"RuleGroupArn":%q}`, arn)
	fail(w, w.UpdateRuleGroup, errInvalid, "parameter is invalid", `{"RuleGroupArn":%q,"UpdateToken":%q,"Rules":""}`, arn, *d.UpdateToken)
}

func TestCompilerIsAsked(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.RuleCheck.Compile = func(string) error { return errors.New("keyword nfs is not supported yet") }
	})
	fail(w, w.CreateRuleGroup, errInvalid, "stateful rule is invalid, rule: pass tcp any any -> any any (sid:1; gid:1234567890;), reason: keyword nfs is not supported yet",
		`{"RuleGroupName":"g","Type":"STATEFUL","Capacity":10,"DryRun":true,"Rules":"pass tcp any any -> any any (sid:1;)"}`)
}

func TestRulesBeyondAWS(t *testing.T) {
	const create = `{"RuleGroupName":"g","Type":"STATEFUL","Capacity":10,"Rules":"drop dns any any -> any any (dns.query; dataset:isset,bad,type string,load bad.lst; sid:1;)"}`
	aws := newWorld(t, nil)
	fail(aws, aws.CreateRuleGroup, errInvalid, "stateful rule is invalid, rule: drop dns any any -> any any (dns.query; dataset:isset,bad,type string,load bad.lst; sid:1; gid:1234567890;), reason: RuleOptions dataset is not supported", create)
	w := newWorld(t, func(o *Options) { o.RuleCheck = policy.RuleOptions{BeyondAWS: true}.Check() })
	arn := *do(w, w.CreateRuleGroup, create).RuleGroupResponse.RuleGroupArn
	token := *do(w, w.DescribeRuleGroup, `{"RuleGroupArn":%q}`, arn).UpdateToken
	fail(w, w.UpdateRuleGroup, errInvalid, "stateful rule is invalid, rule: drop ip any any -> any any (iprep:src,Bad,>,30; sid:1; gid:1234567890;), reason: line 1, column 29: iprep needs lists of reputation; name them with --reputation-categories and --reputation, or the keys reputation.categories and reputation.lists",
		`{"RuleGroupArn":%q,"UpdateToken":%q,"Rules":"drop ip any any -> any any (iprep:src,Bad,>,30; sid:1;)"}`, arn, token)
	do(w, w.UpdateRuleGroup, `{"RuleGroupArn":%q,"UpdateToken":%q,"Rules":"drop dns any any -> any any (dns.query; datarep:bad,>,30,type string,load bad.lst; sid:1;)"}`, arn, token)
}

func TestPolicyLife(t *testing.T) {
	w := newWorld(t, nil)
	group := w.statefulGroup("g")
	arn := w.strictPolicy("p", group)
	fail(w, w.CreateFirewallPolicy, errInvalid, "A resource with the specified name already exists", `{"FirewallPolicyName":"p","FirewallPolicy":%s}`, policyJSON(group))
	fail(w, w.CreateFirewallPolicy, errInvalid, "rule group ARN does not exist", `{"FirewallPolicyName":"q","FirewallPolicy":%s}`, policyJSON(group+"x"))
	fail(w, w.CreateFirewallPolicy, errInvalid, "rule group ARN is invalid", `{"FirewallPolicyName":"q","FirewallPolicy":%s}`, policyJSON(strings.Replace(group, "us-east-1", "eu-west-1", 1)))
	fail(w, w.CreateFirewallPolicy, errInvalid, "rule group ARN is of incorrect entity type, parameter: ["+arn+"]", `{"FirewallPolicyName":"q","FirewallPolicy":%s}`, policyJSON(arn))
	fail(w, w.CreateFirewallPolicy, errInvalid, "Resource ARN has an invalid format", `{"FirewallPolicyName":"q","FirewallPolicy":%s}`, policyJSON("arn:aws:iam"))

	d := do(w, w.DescribeFirewallPolicy, `{"FirewallPolicyName":"p"}`)
	if r := d.FirewallPolicyResponse; *r.ConsumedStatefulRuleCapacity != 100 || *r.ConsumedStatelessRuleCapacity != 0 || r.Tags == nil {
		t.Errorf("%+v", r)
	}
	if n := *do(w, w.DescribeRuleGroup, `{"RuleGroupArn":%q}`, group).RuleGroupResponse.NumberOfAssociations; n != 1 {
		t.Errorf("the group has %d associations", n)
	}
	fail(w, w.DeleteRuleGroup, errOperation, "Unable to delete the object because it is still in use", `{"RuleGroupArn":%q}`, group)
	fail(w, w.UpdateFirewallPolicy, errInvalid, "StatefulEngineOptions has invalid rule order",
		`{"FirewallPolicyName":"p","UpdateToken":%q,"FirewallPolicy":{"StatelessDefaultActions":["aws:pass"],"StatelessFragmentDefaultActions":["aws:pass"]}}`, *d.UpdateToken)
	do(w, w.UpdateFirewallPolicy, `{"FirewallPolicyName":"p","UpdateToken":%q,"FirewallPolicy":%s,"Description":""}`, *d.UpdateToken, policyJSON())
	fail(w, w.UpdateFirewallPolicy, errToken, "", `{"FirewallPolicyName":"p","UpdateToken":%q,"FirewallPolicy":%s}`, *d.UpdateToken, policyJSON())
	do(w, w.DeleteRuleGroup, `{"RuleGroupArn":%q}`, group)
	w.newFirewall("f", arn, "subnet-a")
	fail(w, w.DeleteFirewallPolicy, errOperation, "Unable to delete the object because it is still in use", `{"FirewallPolicyName":"p"}`)
	do(w, w.DeleteFirewall, `{"FirewallName":"f"}`)
	if s := *do(w, w.DeleteFirewallPolicy, `{"FirewallPolicyName":"p"}`).FirewallPolicyResponse.FirewallPolicyStatus; s != "DELETING" {
		t.Errorf("status %s", s)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Policies = 2 })
	w.strictPolicy("a")
	w.strictPolicy("b")
	fail(w, w.CreateFirewallPolicy, "LimitExceededException", "FirewallPolicies limit exceeded, parameter: [2]", `{"FirewallPolicyName":"c","FirewallPolicy":%s}`, policyJSON())
}

func TestListsArePaged(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		w.statefulGroup(name)
	}
	do(w, w.CreateRuleGroup, `{"RuleGroupName":"a","Type":"STATELESS","Capacity":10,"RuleGroup":{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[]}}}}`)
	pages := func(filter string) (got []string, token string) {
		next := ""
		for {
			out := do(w, w.ListRuleGroups, `{"MaxResults":2%s%s}`, filter, next)
			var names []string
			for _, g := range out.RuleGroups {
				kind, name, _ := strings.Cut(*g.Arn, "-rulegroup/")
				names = append(names, kind[strings.LastIndexByte(kind, ':')+1:]+"/"+name)
			}
			got = append(got, strings.Join(names, " "))
			if out.NextToken == nil {
				return got, token
			}
			token = *out.NextToken
			next = fmt.Sprintf(`,"NextToken":%q`, token)
		}
	}
	all, token := pages("")
	if got, want := strings.Join(all, " | "), "stateful/a stateful/b | stateful/c stateless/a"; got != want {
		t.Errorf("pages %s, want %s", got, want)
	}
	for i := range token {
		if c := token[i]; !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/+=", rune(c)) {
			t.Errorf("the token %s does not fit its pattern", token)
		}
	}
	stateful, _ := pages(`,"Type":"STATEFUL"`)
	if got, want := strings.Join(stateful, " | "), "stateful/a stateful/b | stateful/c"; got != want {
		t.Errorf("pages %s, want %s", got, want)
	}
	fail(w, w.ListRuleGroups, errInvalid, "NextToken is invalid", `{"Type":"STATEFUL","NextToken":%q}`, token)
	fail(w, w.ListRuleGroups, errInvalid, "NextToken is invalid", `{"NextToken":"AAAA"}`)
	if n := len(do(w, w.ListRuleGroups, `{"Scope":"MANAGED"}`).RuleGroups); n != 0 {
		t.Errorf("%d managed groups", n)
	}

	p := w.strictPolicy("p")
	for _, name := range []string{"x", "y", "z"} {
		w.newFirewall(name, p, "subnet-a")
	}
	for _, filter := range []string{"", `,"VpcIds":["vpc-0a"]`} {
		first := do(w, w.ListFirewalls, `{"MaxResults":2%s}`, filter)
		second := do(w, w.ListFirewalls, `{"MaxResults":2%s,"NextToken":%q}`, filter, *first.NextToken)
		if len(first.Firewalls) != 2 || len(second.Firewalls) != 1 || *second.Firewalls[0].FirewallName != "z" || second.NextToken != nil {
			t.Errorf("%s: %+v %+v", filter, first, second)
		}
	}
	if n := len(do(w, w.ListFirewalls, `{"VpcIds":["vpc-0b"]}`).Firewalls); n != 0 {
		t.Errorf("%d firewalls in another VPC", n)
	}
	if n := len(do(w, w.ListFirewallPolicies, `{}`).FirewallPolicies); n != 1 {
		t.Errorf("%d policies", n)
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.strictPolicy("p")
	before := do(w, w.DescribeFirewallPolicy, `{"FirewallPolicyArn":%q}`, arn)
	do(w, w.TagResource, `{"ResourceArn":%q,"Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":"2"},{"Key":"c","Value":""}]}`, arn)
	do(w, w.TagResource, `{"ResourceArn":%q,"Tags":[{"Key":"b","Value":"3"}]}`, arn)
	do(w, w.UntagResource, `{"ResourceArn":%q,"TagKeys":["a","zz"]}`, arn)
	first := do(w, w.ListTagsForResource, `{"ResourceArn":%q,"MaxResults":1}`, arn)
	second := do(w, w.ListTagsForResource, `{"ResourceArn":%q,"MaxResults":1,"NextToken":%q}`, arn, *first.NextToken)
	if *first.Tags[0].Key != "b" || *first.Tags[0].Value != "3" || *second.Tags[0].Key != "c" || second.NextToken != nil {
		t.Errorf("%+v %+v", first, second)
	}
	after := do(w, w.DescribeFirewallPolicy, `{"FirewallPolicyArn":%q}`, arn)
	if len(after.FirewallPolicyResponse.Tags) != 2 || *after.UpdateToken != *before.UpdateToken || *after.FirewallPolicy.StatefulEngineOptions.RuleOrder != "STRICT_ORDER" {
		t.Errorf("tagging changed the policy: %+v", after)
	}
	fail(w, w.TagResource, errMissing, "", `{"ResourceArn":"%sx","Tags":[]}`, arn)
	fail(w, w.TagResource, errInvalid, "Tags is invalid", `{"ResourceArn":%q,"Tags":[{"Key":"aws:x","Value":""}]}`, arn)
	fail(w, w.CreateFirewallPolicy, errInvalid, "Tags has duplicate values", `{"FirewallPolicyName":"q","FirewallPolicy":%s,"Tags":[{"Key":"a","Value":""},{"Key":"a","Value":""}]}`, policyJSON())
	var many []string
	for i := range 49 {
		many = append(many, fmt.Sprintf(`{"Key":"k%d","Value":""}`, i))
	}
	fail(w, w.TagResource, errInvalid, "Tags limit exceeded, parameter: [51]", `{"ResourceArn":%q,"Tags":[%s]}`, arn, strings.Join(many, ","))
}

func TestLoggingChangesOneAtATime(t *testing.T) {
	w := newWorld(t, nil)
	w.newFirewall("f", w.strictPolicy("p"), "subnet-a")
	const (
		alert  = `{"LogType":"ALERT","LogDestinationType":"S3","LogDestination":{"bucketName":"b"}}`
		moved  = `{"LogType":"ALERT","LogDestinationType":"S3","LogDestination":{"bucketName":"b","prefix":"p"}}`
		retype = `{"LogType":"ALERT","LogDestinationType":"CloudWatchLogs","LogDestination":{"logGroup":"g"}}`
		flow   = `{"LogType":"FLOW","LogDestinationType":"CloudWatchLogs","LogDestination":{"logGroup":"g"}}`
		update = `{"FirewallName":"f","LoggingConfiguration":{"LogDestinationConfigs":[%s]}}`
		two    = "Given logging configuration attempts to create/modify multiple log destination configs"
	)
	fail(w, w.UpdateLoggingConfiguration, errInvalid, two, update, alert+","+flow)
	do(w, w.UpdateLoggingConfiguration, update, alert)
	fail(w, w.UpdateLoggingConfiguration, errInvalid, two, update, moved+","+flow)
	fail(w, w.UpdateLoggingConfiguration, errInvalid, two, update, retype)
	do(w, w.UpdateLoggingConfiguration, update, alert+","+flow)
	do(w, w.UpdateLoggingConfiguration, update, moved+","+flow)
	fail(w, w.UpdateLoggingConfiguration, errInvalid, two, update, "")
	fail(w, w.UpdateLoggingConfiguration, errInvalid, "Given logging configuration is unsupported.", update, flow+","+flow)
	fail(w, w.UpdateLoggingConfiguration, errInvalid, "LogDestination cannot be null or empty", update, `{"LogType":"TLS","LogDestinationType":"KinesisDataFirehose","LogDestination":{}}`)
	fail(w, w.DeleteFirewall, errOperation, "Unable to delete the firewall because logging is configured", `{"FirewallName":"f"}`)
	if n := len(do(w, w.DescribeLoggingConfiguration, `{"FirewallName":"f"}`).LoggingConfiguration.LogDestinationConfigs); n != 2 {
		t.Errorf("%d destinations", n)
	}
	do(w, w.UpdateLoggingConfiguration, update, flow)
	do(w, w.UpdateLoggingConfiguration, `{"FirewallName":"f"}`)
	do(w, w.DeleteFirewall, `{"FirewallName":"f"}`)
}

func TestStoreLost(t *testing.T) {
	lost, err := store.Dial(t.Context(), store.DialOptions{Endpoints: []string{"unix://" + t.TempDir() + "/none"}, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer lost.Close()
	w := newWorld(t, func(o *Options) { o.Store = lost })
	fail(w, w.ListFirewalls, "InternalServerError", "store: list ", `{}`)
	fail(w, w.DescribeFirewall, "InternalServerError", "store: get ", `{"FirewallName":"f"}`)
}
