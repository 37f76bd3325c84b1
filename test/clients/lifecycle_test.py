"""Rule groups, policies and firewalls from creation to deletion, through boto3."""

import unittest

from common import PREFIX, ZONE, Case, until

LOG = "Given logging configuration attempts to create/modify multiple log destination configs"

SURICATA = 'drop tls $HOME_NET any -> $EXTERNAL_NET any (tls.sni; content:"bad.example"; nocase; endswith; msg:"bad"; flow:to_server, established; sid:1; rev:1;)'

FIVE_TUPLE = {
    "Action": "DROP",
    "Header": {
        "Protocol": "TCP",
        "Source": "10.0.0.0/8",
        "SourcePort": "ANY",
        "Direction": "FORWARD",
        "Destination": "$EXTERNAL_NET",
        "DestinationPort": "23",
    },
    "RuleOptions": [{"Keyword": "sid", "Settings": ["1"]}, {"Keyword": "msg", "Settings": ['"telnet"']}],
}

GROUPS = {
    "suricata": ("STATEFUL", {"RulesSource": {"RulesString": SURICATA}, "RuleVariables": {"IPSets": {"HOME_NET": {"Definition": ["10.0.0.0/8"]}}}}),
    "five-tuple": ("STATEFUL", {"RulesSource": {"StatefulRules": [FIVE_TUPLE]}}),
    "domains": (
        "STATEFUL",
        {"RulesSource": {"RulesSourceList": {"Targets": [".bad.example", "worse.example"], "TargetTypes": ["TLS_SNI", "HTTP_HOST"], "GeneratedRulesType": "DENYLIST"}}},
    ),
    "stateless": (
        "STATELESS",
        {
            "RulesSource": {
                "StatelessRulesAndCustomActions": {
                    "StatelessRules": [
                        {
                            "Priority": 1,
                            "RuleDefinition": {
                                "Actions": ["aws:drop", "count"],
                                "MatchAttributes": {
                                    "Sources": [{"AddressDefinition": "203.0.113.0/24"}],
                                    "Destinations": [{"AddressDefinition": "0.0.0.0/0"}],
                                    "DestinationPorts": [{"FromPort": 1, "ToPort": 1023}],
                                    "Protocols": [6, 17],
                                },
                            },
                        }
                    ],
                    "CustomActions": [{"ActionName": "count", "ActionDefinition": {"PublishMetricAction": {"Dimensions": [{"Value": "bad"}]}}}],
                }
            }
        },
    ),
}

STALE = "00000000-0000-4000-8000-000000000000"


class Lifecycle(Case):
    """Tests run in order of their names and each cleans up."""

    def group(self, name, **kwargs):
        kind, document = GROUPS[name]
        return self.nfw.create_rule_group(RuleGroupName=name, Type=kind, Capacity=100, RuleGroup=document, **kwargs)

    def policy(self, name, **references):
        return self.nfw.create_firewall_policy(
            FirewallPolicyName=name,
            FirewallPolicy={
                "StatelessDefaultActions": ["aws:forward_to_sfe"],
                "StatelessFragmentDefaultActions": ["aws:drop"],
                **references,
            },
        )

    def gone(self, describe, **kwargs):
        def check():
            try:
                describe(**kwargs)
            except self.nfw.exceptions.ResourceNotFoundException:
                return True

        until("the resource is gone", check)

    def test_rule_groups(self):
        for name, (kind, document) in GROUPS.items():
            with self.subTest(group=name):
                created = self.group(name, Description="a group", Tags=[{"Key": "team", "Value": "edge"}])
                response = created["RuleGroupResponse"]
                arn = f"{PREFIX}{kind.lower()}-rulegroup/{name}"
                self.assertEqual(response["RuleGroupArn"], arn)
                self.assertEqual((response["Type"], response["Capacity"], response["RuleGroupStatus"]), (kind, 100, "ACTIVE"))

                described = self.nfw.describe_rule_group(RuleGroupName=name, Type=kind)
                self.assertEqual(described["RuleGroup"]["RulesSource"], document["RulesSource"])
                self.assertEqual(described["UpdateToken"], created["UpdateToken"])
                self.assertEqual(described["RuleGroupResponse"]["Tags"], [{"Key": "team", "Value": "edge"}])
                self.assertGreater(described["RuleGroupResponse"]["ConsumedCapacity"], 0)

                with self.refused("InvalidRequestException", "A resource with the specified name already exists"):
                    self.group(name)
                with self.assertRaises(self.nfw.exceptions.InvalidTokenException):
                    self.nfw.update_rule_group(RuleGroupArn=arn, RuleGroup=document, UpdateToken=STALE)
                updated = self.nfw.update_rule_group(RuleGroupArn=arn, RuleGroup=document, UpdateToken=created["UpdateToken"])
                self.assertNotEqual(updated["UpdateToken"], created["UpdateToken"])
                with self.assertRaises(self.nfw.exceptions.InvalidTokenException):
                    self.nfw.update_rule_group(RuleGroupArn=arn, RuleGroup=document, UpdateToken=created["UpdateToken"])

                deleted = self.nfw.delete_rule_group(RuleGroupArn=arn)
                self.assertEqual(deleted["RuleGroupResponse"]["RuleGroupStatus"], "DELETING")
                self.gone(self.nfw.describe_rule_group, RuleGroupArn=arn)

    def test_bad_rule_groups(self):
        def suricata(rules, **kwargs):
            return {"RuleGroupName": "bad", "Type": "STATEFUL", "Capacity": 1, "RuleGroup": {"RulesSource": {"RulesString": rules}}, **kwargs}

        for request, code, text in (
            (suricata('pass tcp any any -> any any (msg:"no sid here";)'), "InvalidRequestException", "reason: sid not assigned"),
            (suricata("pass tcp any any -> any any (sid:1;)\npass udp any any -> any any (sid:2;)"), "InvalidRequestException", "StatefulRules capacity exceeded, parameter: [2]"),
            (suricata("pass tcp any any -> any any (sid:1;)", RuleGroupName="under_score"), "ValidationException", "ruleGroupName"),
            (suricata("log tcp any any -> any any (sid:1;)"), "InvalidRequestException", "Action log is not supported"),
            (suricata("pass tcp $NONE any -> any any (sid:1;)"), "InvalidRequestException", "NONE cannot be null or empty"),
        ):
            with self.subTest(request=request), self.refused(code, text):
                self.nfw.create_rule_group(**request)

    def test_life(self):
        """Groups, a policy on them, a firewall on that, and the way back."""
        groups = {name: self.group(name)["RuleGroupResponse"]["RuleGroupArn"] for name in GROUPS}
        references = {
            "StatefulRuleGroupReferences": [{"ResourceArn": arn} for name, arn in groups.items() if GROUPS[name][0] == "STATEFUL"],
            "StatelessRuleGroupReferences": [{"ResourceArn": groups["stateless"], "Priority": 1}],
        }
        created = self.policy("life", **references)
        policy = created["FirewallPolicyResponse"]["FirewallPolicyArn"]
        firewall = self.nfw.create_firewall(
            FirewallName="life",
            FirewallPolicyArn=policy,
            VpcId="vpc-0a1b2c3d",
            SubnetMappings=[{"SubnetId": "subnet-0a1b2c3d"}],
            Tags=[{"Key": "team", "Value": "edge"}],
            DeleteProtection=True,
        )["Firewall"]["FirewallArn"]

        def ready():
            described = self.nfw.describe_firewall(FirewallArn=firewall)
            return described["FirewallStatus"]["Status"] == "READY" and described

        described = until("the firewall is READY", ready)
        self.assertEqual(described["FirewallStatus"]["ConfigurationSyncStateSummary"], "IN_SYNC")
        config = described["FirewallStatus"]["SyncStates"][ZONE]["Config"]
        self.assertEqual(set(config), {policy, *groups.values()})
        self.assertEqual({c["SyncStatus"] for c in config.values()}, {"IN_SYNC"})

        # Update tokens: a policy needs one, a firewall's is optional.
        body = {"FirewallPolicyArn": policy, "FirewallPolicy": {"StatelessDefaultActions": ["aws:pass"], "StatelessFragmentDefaultActions": ["aws:drop"], **references}}
        with self.assertRaises(self.nfw.exceptions.InvalidTokenException):
            self.nfw.update_firewall_policy(UpdateToken=STALE, **body)
        updated = self.nfw.update_firewall_policy(UpdateToken=created["UpdateToken"], **body)
        until("the update is in force", lambda: ready()["FirewallStatus"]["SyncStates"][ZONE]["Config"][policy]["UpdateToken"] == updated["UpdateToken"])
        with self.assertRaises(self.nfw.exceptions.InvalidTokenException):
            self.nfw.update_firewall_description(FirewallArn=firewall, Description="x", UpdateToken=STALE)
        self.nfw.update_firewall_description(FirewallArn=firewall, Description="x")
        self.assertEqual(self.nfw.describe_firewall(FirewallArn=firewall)["Firewall"]["Description"], "x")

        self.tags(firewall)
        self.logging(firewall)

        # The wrong order of deletion.
        with self.refused("InvalidOperationException", "Unable to delete the object because it is still in use"):
            self.nfw.delete_rule_group(RuleGroupArn=groups["suricata"])
        with self.refused("InvalidOperationException", "Unable to delete the object because it is still in use"):
            self.nfw.delete_firewall_policy(FirewallPolicyArn=policy)
        with self.assertRaises(self.nfw.exceptions.InvalidOperationException):
            self.nfw.delete_firewall(FirewallArn=firewall)
        self.nfw.update_firewall_delete_protection(FirewallArn=firewall, DeleteProtection=False)
        self.assertEqual(self.nfw.delete_firewall(FirewallArn=firewall)["FirewallStatus"]["Status"], "DELETING")
        self.gone(self.nfw.describe_firewall, FirewallArn=firewall)
        self.assertEqual(self.nfw.delete_firewall_policy(FirewallPolicyArn=policy)["FirewallPolicyResponse"]["FirewallPolicyStatus"], "DELETING")
        self.gone(self.nfw.describe_firewall_policy, FirewallPolicyArn=policy)
        for arn in groups.values():
            self.nfw.delete_rule_group(RuleGroupArn=arn)
            self.gone(self.nfw.describe_rule_group, RuleGroupArn=arn)

    def tags(self, arn):
        self.nfw.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}, {"Key": "team", "Value": "core"}])
        pages = self.nfw.get_paginator("list_tags_for_resource").paginate(ResourceArn=arn, PaginationConfig={"PageSize": 1})
        tags = {t["Key"]: t["Value"] for t in pages.build_full_result()["Tags"]}
        self.assertEqual(tags, {"stage": "test", "team": "core"})
        self.nfw.untag_resource(ResourceArn=arn, TagKeys=["team"])
        self.assertEqual(self.nfw.list_tags_for_resource(ResourceArn=arn)["Tags"], [{"Key": "stage", "Value": "test"}])
        with self.assertRaises(self.nfw.exceptions.ResourceNotFoundException):
            self.nfw.tag_resource(ResourceArn=PREFIX + "firewall/other", Tags=[{"Key": "a", "Value": "b"}])

    def logging(self, arn):
        alert = {"LogType": "ALERT", "LogDestinationType": "CloudWatchLogs", "LogDestination": {"logGroup": "alerts"}}
        flow = {"LogType": "FLOW", "LogDestinationType": "S3", "LogDestination": {"bucketName": "flows", "prefix": "edge"}}

        def put(*configs):
            return self.nfw.update_logging_configuration(FirewallArn=arn, LoggingConfiguration={"LogDestinationConfigs": list(configs)})

        with self.refused("InvalidRequestException", LOG):
            put(alert, flow)
        put(alert)
        put(alert, flow)
        moved = {**flow, "LogDestination": {"bucketName": "elsewhere"}}
        with self.refused("InvalidRequestException", LOG):
            put(moved)
        self.assertEqual(put(alert, moved)["LoggingConfiguration"]["LogDestinationConfigs"], [alert, moved])
        described = self.nfw.describe_logging_configuration(FirewallArn=arn)
        self.assertEqual(described["LoggingConfiguration"]["LogDestinationConfigs"], [alert, moved])
        put(alert)
        self.nfw.update_logging_configuration(FirewallArn=arn)
        described = self.nfw.describe_logging_configuration(FirewallArn=arn)
        self.assertFalse(described.get("LoggingConfiguration", {}).get("LogDestinationConfigs"))

    def test_pages(self):
        names = [f"page-{i}" for i in range(5)]
        for name in names:
            self.nfw.create_rule_group(RuleGroupName=name, Type="STATEFUL", Capacity=1, Rules="pass tcp any any -> any any (sid:1;)")
            self.policy(name)
        for operation, result in (("list_rule_groups", "RuleGroups"), ("list_firewall_policies", "FirewallPolicies")):
            for size in (1, 2, 100):
                with self.subTest(operation=operation, size=size):
                    pages = self.nfw.get_paginator(operation).paginate(PaginationConfig={"PageSize": size})
                    listed = [r["Name"] for r in pages.build_full_result()[result]]
                    self.assertEqual([n for n in listed if n in names], names)
                    self.assertEqual(len(listed), len(set(listed)))
            with self.assertRaises(self.nfw.exceptions.InvalidRequestException):
                getattr(self.nfw, operation)(NextToken="bm90IG91cnM=")
        for name in names:
            self.nfw.delete_firewall_policy(FirewallPolicyName=name)
            self.nfw.delete_rule_group(RuleGroupName=name, Type="STATEFUL")


if __name__ == "__main__":
    unittest.main()
