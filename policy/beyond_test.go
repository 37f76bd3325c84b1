package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/engine/packet"
)

// badList has one category, in which no address is.
type badList struct{}

func (badList) Category(name string) (uint8, bool)     { return 1, name == "Bad" }
func (badList) Score(packet.Addr, uint8) (uint8, bool) { return 0, false }

func TestRulesBeyondAWS(t *testing.T) {
	const reason = "stateful rule is invalid, rule: %s, reason: "
	wide, lists := RuleOptions{BeyondAWS: true}, RuleOptions{BeyondAWS: true, Reputation: badList{}}
	set := func(options string) string {
		return "alert dns any any -> any any (dns.query; " + options + "; sid:1;)"
	}
	files := func(option string) string { return "alert http any any -> any any (" + option + "; sid:1;)" }
	const rep = "drop ip any any -> any any (iprep:src,Bad,>,30; sid:1;)"
	const outside = "files that rules name are below datasets_dir; name one there, such as lists/bad.lst, without a leading / and without parts that begin with . or @ (line 1, column 42)"
	for _, c := range []struct {
		rules RuleOptions
		rule  string
		want  string // why it is refused
	}{
		{RuleOptions{}, set("dataset:isset,x,type string"), "RuleOptions dataset is not supported"},
		{RuleOptions{}, set("datarep:x,>,1,type string"), "RuleOptions datarep is not supported"},
		{RuleOptions{Reputation: badList{}}, rep, "RuleOptions iprep is not supported"},
		{wide, set("dataset:set,x,type string,state lists/x.lst"), ""},
		{wide, set("datarep:x,>,1,type string,load x..lst"), ""},
		{wide, set("dataset:isset,x,type string,load /etc/passwd"), outside},
		{wide, set("dataset:isset,x,type string,load ../x.lst"), outside},
		{wide, set("dataset:isset,x,type string,load @210987654321/x.lst"), outside},
		{wide, set("dataset:set,x,type string,save x/.y.new"), outside},
		{wide, set("dataset:set,x,type string,state x//y"), outside},
		{wide, set("datarep:x,>,1,type string,load ../x.lst"), outside},
		{RuleOptions{}, files("filemd5:bad.md5"), "RuleOptions filemd5 is not supported"},
		{wide, files("filemd5:bad.md5"), ""},
		{wide, files("filesha1:!lists/bad.sha1"), ""},
		{wide, files("filemd5:/etc/passwd"), strings.Replace(outside, "42", "32", 1)},
		{wide, files("filesha1:../x"), strings.Replace(outside, "42", "32", 1)},
		{wide, files("filesha256:! @210987654321/x.lst"), strings.Replace(outside, "42", "32", 1)},
		{wide, set("lua:x.lua"), "RuleOptions lua is not supported"},
		{wide, rep, "line 1, column 29: iprep needs lists of reputation; name them with --reputation-categories and --reputation, or the keys reputation.categories and reputation.lists"},
		{lists, rep, ""},
		{lists, strings.Replace(rep, "Bad", "Worse", 1), `line 1, column 29: iprep category "Worse" is not in the file of categories; add it there`},
	} {
		_, err := CheckRuleGroup(KindStateful, ruleGroup(t, rulesString(strings.ReplaceAll(c.rule, `"`, `\"`), false)), 10, c.rules.Check())
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.rule, err)
			}
			continue
		}
		refused(t, err, fmt.Sprintf(reason, strings.TrimSuffix(c.rule, ")")+" gid:1234567890;)")+c.want)
	}
}

// What was taken with the switch is not run without it.
func TestCompileBeyondAWS(t *testing.T) {
	const group = "arn:aws:network-firewall:us-east-1:123456789012:stateful-rulegroup/g"
	in := Input{
		Policy: &wire.FirewallPolicy{StatefulRuleGroupReferences: []wire.StatefulRuleGroupReference{{ResourceArn: wire.Ptr(group)}}},
		Groups: map[string]*wire.RuleGroup{group: ruleGroup(t, rulesString("drop ip any any -> any any (iprep:src,Bad,>,30; sid:1;)", false))},
		Rules:  RuleOptions{BeyondAWS: true, Reputation: badList{}}, HomeNet: DefaultHomeNet,
	}
	if _, err := Compile(in, 1); err != nil {
		t.Error(err)
	}
	in.Rules.BeyondAWS = false
	_, err := Compile(in, 1)
	const want = "rule group " + group + ": rule 1: line 1, column 29: iprep is not in the rules of AWS; to have it beyond them, set the key rules.beyond_aws"
	if err == nil || err.Error() != want {
		t.Errorf("without the switch: %v", err)
	}
}
