// The life cycle of go_test.go with AWS's SDK for JavaScript.

import assert from "node:assert/strict";
import { NetworkFirewall, ResourceNotFoundException, paginateListRuleGroups } from "@aws-sdk/client-network-firewall";

const rule = "pass tcp any any -> any any (sid:1;)";
const nfw = new NetworkFirewall({ maxAttempts: 1 });

const refused = (code, text, call) =>
  assert.rejects(call, (e) => e.name === code && e.message.includes(text), `want ${code}: ${text}`);

async function until(what, ok) {
  const deadline = Date.now() + 20_000;
  while (!(await ok())) assert(Date.now() < deadline, `waited in vain until ${what}`);
}

const gone = (describe) =>
  until("the resource is gone", async () => {
    try {
      await describe();
    } catch (e) {
      if (e instanceof ResourceNotFoundException) return true;
      throw e;
    }
  });

const { RuleGroupResponse, UpdateToken: first } = await nfw.createRuleGroup({
  RuleGroupName: "js", Type: "STATEFUL", Capacity: 10, Rules: rule,
});
const RuleGroupArn = RuleGroupResponse.RuleGroupArn;
const FirewallPolicy = {
  StatelessDefaultActions: ["aws:forward_to_sfe"],
  StatelessFragmentDefaultActions: ["aws:drop"],
  StatefulRuleGroupReferences: [{ ResourceArn: RuleGroupArn }],
};
const policy = await nfw.createFirewallPolicy({ FirewallPolicyName: "js", FirewallPolicy });
const { FirewallPolicyArn } = policy.FirewallPolicyResponse;
const { Firewall } = await nfw.createFirewall({
  FirewallName: "js", FirewallPolicyArn, VpcId: "vpc-0a1b2c3d", SubnetMappings: [{ SubnetId: "subnet-0a1b2c3d" }],
});
const FirewallArn = Firewall.FirewallArn;
await until("the firewall is READY", async () => (await nfw.describeFirewall({ FirewallArn })).FirewallStatus.Status === "READY");

// What else there is.
const match = { Sources: [{ AddressDefinition: "10.0.0.0/8" }] };
await nfw.createRuleGroup({
  RuleGroupName: "js", Type: "STATELESS", Capacity: 10,
  RuleGroup: { RulesSource: { StatelessRulesAndCustomActions: { StatelessRules: [{ Priority: 1, RuleDefinition: { MatchAttributes: match, Actions: ["aws:pass"] } }] } } },
});
await nfw.createTLSInspectionConfiguration({
  TLSInspectionConfigurationName: "js",
  TLSInspectionConfiguration: {
    ServerCertificateConfigurations: [{ CertificateAuthorityArn: "arn:aws:acm:us-east-1:123456789012:certificate/ca", Scopes: [match] }],
  },
});
const { VpcEndpointAssociation } = await nfw.createVpcEndpointAssociation({
  FirewallArn, VpcId: "vpc-0d4e5f6a", SubnetMapping: { SubnetId: "subnet-0d4e5f6a" },
});
const { VpcEndpointAssociationArn } = VpcEndpointAssociation;
await until("the association is READY", async () =>
  (await nfw.describeVpcEndpointAssociation({ VpcEndpointAssociationArn })).VpcEndpointAssociationStatus.Status === "READY");
await refused("InvalidOperationException", "is associated with it", nfw.deleteFirewall({ FirewallArn }));
const Policy = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: "210987654321" }, Action: "network-firewall:CreateFirewallPolicy", Resource: RuleGroupArn }],
});
await nfw.putResourcePolicy({ ResourceArn: RuleGroupArn, Policy });
assert.equal((await nfw.describeResourcePolicy({ ResourceArn: RuleGroupArn })).Policy, Policy);

const inUse = "Unable to delete the object because it is still in use";
await refused("InvalidOperationException", inUse, nfw.deleteRuleGroup({ RuleGroupArn }));
await refused("InvalidOperationException", inUse, nfw.deleteFirewallPolicy({ FirewallPolicyArn }));

const { UpdateToken } = await nfw.updateRuleGroup({ RuleGroupArn, Rules: rule, UpdateToken: first });
const outcomes = await Promise.allSettled(Array.from({ length: 16 }, () => nfw.updateRuleGroup({ RuleGroupArn, Rules: rule, UpdateToken })));
const lost = outcomes.filter((o) => o.status === "rejected").map((o) => o.reason.name);
assert.deepEqual(lost, Array(15).fill("InvalidTokenException"), "of 16 updates with one token one succeeds");
const updated = await nfw.updateFirewallPolicy({ FirewallPolicyArn, FirewallPolicy, Description: "changed", UpdateToken: policy.UpdateToken });
assert.equal(updated.FirewallPolicyResponse.Description, "changed");

await nfw.tagResource({ ResourceArn: FirewallArn, Tags: [{ Key: "team", Value: "edge" }, { Key: "cost", Value: "1" }] });
await nfw.untagResource({ ResourceArn: FirewallArn, TagKeys: ["cost"] });
assert.deepEqual((await nfw.listTagsForResource({ ResourceArn: FirewallArn })).Tags, [{ Key: "team", Value: "edge" }]);

const both = ["ALERT", "FLOW"].map((LogType) => ({
  LogType, LogDestinationType: "CloudWatchLogs", LogDestination: { logGroup: LogType.toLowerCase() },
}));
const logs = (LogDestinationConfigs) => nfw.updateLoggingConfiguration({ FirewallArn, LoggingConfiguration: { LogDestinationConfigs } });
await refused("InvalidRequestException", "multiple log destination configs", logs(both));
for (const wanted of [both.slice(0, 1), both, both.slice(1), []]) {
  await logs(wanted);
  const { LoggingConfiguration } = await nfw.describeLoggingConfiguration({ FirewallArn });
  assert.deepEqual(LoggingConfiguration.LogDestinationConfigs, wanted);
}

const names = [];
let pages = 0;
for await (const page of paginateListRuleGroups({ client: nfw, pageSize: 100 }, {})) {
  pages++;
  names.push(...page.RuleGroups.map((g) => g.Name).filter((n) => n.startsWith("many-")));
}
assert.equal(names.length, 1000);
assert.equal(new Set(names).size, 1000);
assert.equal(pages, 11);

await nfw.deleteResourcePolicy({ ResourceArn: RuleGroupArn });
await nfw.deleteVpcEndpointAssociation({ VpcEndpointAssociationArn });
await gone(() => nfw.describeVpcEndpointAssociation({ VpcEndpointAssociationArn }));
await nfw.deleteTLSInspectionConfiguration({ TLSInspectionConfigurationName: "js" });
await nfw.deleteRuleGroup({ RuleGroupName: "js", Type: "STATELESS" });
await nfw.deleteFirewall({ FirewallArn });
await gone(() => nfw.describeFirewall({ FirewallArn }));
await nfw.deleteFirewallPolicy({ FirewallPolicyArn });
await gone(() => nfw.describeFirewallPolicy({ FirewallPolicyArn }));
await nfw.deleteRuleGroup({ RuleGroupArn });
await gone(() => nfw.describeRuleGroup({ RuleGroupArn }));
