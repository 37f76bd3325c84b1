"""Resource policies between two accounts, each with a key of its own.

The rig has a firewall "edge" in the first account, whose policy and rule group are shared here.
"""

import json
import os
import unittest

from common import REGION, ZONE, Case, client, until

OTHER = os.environ["SLUICE_OTHER_ACCOUNT"]
OTHER_PREFIX = f"arn:aws:network-firewall:{REGION}:{OTHER}:"
FIREWALL = os.environ["SLUICE_FIREWALL"]
SUBNET = {"SubnetId": "subnet-0a1b2c3d"}


def document(*groups):
    return {
        "StatelessDefaultActions": ["aws:forward_to_sfe"],
        "StatelessFragmentDefaultActions": ["aws:drop"],
        "StatefulRuleGroupReferences": [{"ResourceArn": arn} for arn in groups],
    }


class Sharing(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = client(aws_access_key_id=os.environ["SLUICE_OTHER_KEY_ID"], aws_secret_access_key=os.environ["SLUICE_OTHER_SECRET"])

    def share(self, arn, *operations, who=OTHER):
        statement = {"Effect": "Allow", "Principal": {"AWS": who}, "Action": ["network-firewall:" + o for o in operations], "Resource": arn}
        self.nfw.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def denied(self, operation, arn):
        return self.refused("AccessDeniedException", f"is not authorized to perform: network-firewall:{operation} on resource: {arn} because no resource-based policy allows")

    def group(self, name):
        arn = self.nfw.create_rule_group(RuleGroupName=name, Type="STATEFUL", Capacity=10, Rules="pass tcp any any -> any 443 (sid:1;)")["RuleGroupResponse"]["RuleGroupArn"]
        self.addCleanup(self.nfw.delete_rule_group, RuleGroupArn=arn)
        return arn

    def test_rule_group(self):
        group = self.group("shared")
        with self.denied("CreateFirewallPolicy", group):
            self.other.create_firewall_policy(FirewallPolicyName="p", FirewallPolicy=document(group))
        self.share(group, "CreateFirewallPolicy", "UpdateFirewallPolicy", "ListRuleGroups")
        listed = [g["Arn"] for page in self.other.get_paginator("list_rule_groups").paginate(PaginationConfig={"PageSize": 1}) for g in page["RuleGroups"]]
        self.assertEqual(listed, [group])
        self.assertNotIn(group, [g["Arn"] for g in self.other.list_rule_groups(Type="STATELESS")["RuleGroups"]])

        made = self.other.create_firewall_policy(FirewallPolicyName="p", FirewallPolicy=document(group))
        self.assertEqual(self.nfw.describe_rule_group(RuleGroupArn=group)["RuleGroupResponse"]["NumberOfAssociations"], 1)
        with self.refused("InvalidOperationException", "Unable to delete the object because it is still in use"):
            self.nfw.delete_rule_group(RuleGroupArn=group)
        for operation, call in {
            "DescribeRuleGroup": self.other.describe_rule_group,
            "DescribeRuleGroupMetadata": self.other.describe_rule_group_metadata,
            "DeleteRuleGroup": self.other.delete_rule_group,
        }.items():
            with self.subTest(operation), self.denied(operation, group):
                call(RuleGroupArn=group)
        for operation, call in {
            "DescribeResourcePolicy": self.other.describe_resource_policy,
            "DeleteResourcePolicy": self.other.delete_resource_policy,
            "ListTagsForResource": self.other.list_tags_for_resource,
        }.items():
            with self.subTest(operation), self.denied(operation, group):
                call(ResourceArn=group)

        self.nfw.delete_resource_policy(ResourceArn=group)
        self.assertEqual(self.other.list_rule_groups()["RuleGroups"], [])
        with self.denied("UpdateFirewallPolicy", group):
            self.other.update_firewall_policy(FirewallPolicyName="p", UpdateToken=made["UpdateToken"], FirewallPolicy=document(group))
        with self.refused("InvalidOperationException", "still in use"):
            self.nfw.delete_rule_group(RuleGroupArn=group)
        self.other.delete_firewall_policy(FirewallPolicyName="p")

    def test_policy(self):
        """A firewall of one account runs the policy and the rules of the other."""
        group = self.group("rules-of-the-first")
        policy = self.nfw.create_firewall_policy(FirewallPolicyName="p", FirewallPolicy=document(group))["FirewallPolicyResponse"]["FirewallPolicyArn"]
        new = {"FirewallName": "edge", "FirewallPolicyArn": policy, "VpcId": "vpc-0a1b2c3d", "SubnetMappings": [SUBNET]}
        with self.denied("CreateFirewall", policy):
            self.other.create_firewall(**new)
        with self.refused("InvalidResourcePolicyException", "The supplied policy does not match RAM managed permissions."):
            self.share(policy, "DeleteFirewallPolicy")
        self.share(policy, "AssociateFirewallPolicy", "ListFirewallPolicies")
        self.assertEqual(self.other.list_firewall_policies()["FirewallPolicies"], [{"Name": "p", "Arn": policy}])
        firewall = self.other.create_firewall(**new)["Firewall"]["FirewallArn"]
        self.assertEqual(firewall, OTHER_PREFIX + "firewall/edge")

        def ready():
            status = self.other.describe_firewall(FirewallName="edge")["FirewallStatus"]
            return status["Status"] == "READY" and status

        status = until("the firewall of the other account is READY", ready)
        config = status["SyncStates"][ZONE]["Config"]
        self.assertEqual({arn: c["SyncStatus"] for arn, c in config.items()}, {policy: "IN_SYNC", group: "IN_SYNC"})
        with self.denied("DescribeFirewallPolicy", policy):
            self.other.describe_firewall_policy(FirewallPolicyArn=policy)
        self.nfw.delete_resource_policy(ResourceArn=policy)
        self.assertTrue(ready())  # the end of a share does not end its use
        with self.denied("AssociateFirewallPolicy", policy):
            self.other.associate_firewall_policy(FirewallName="edge", FirewallPolicyArn=policy)
        with self.refused("InvalidOperationException", "still in use"):
            self.nfw.delete_firewall_policy(FirewallPolicyArn=policy)
        self.other.delete_firewall(FirewallName="edge")
        self.nfw.delete_firewall_policy(FirewallPolicyArn=policy)

    def test_firewall(self):
        new = {"FirewallArn": FIREWALL, "VpcId": "vpc-0d4e5f6a", "SubnetMapping": SUBNET}
        with self.denied("CreateVpcEndpointAssociation", FIREWALL):
            self.other.create_vpc_endpoint_association(**new)
        protect = {"FirewallArn": FIREWALL, "DeleteProtection": True}
        with self.denied("UpdateFirewallDeleteProtection", FIREWALL):
            self.other.update_firewall_delete_protection(**protect)
        self.share(FIREWALL, "CreateVpcEndpointAssociation", "DescribeFirewallMetadata", "ListFirewalls", who=f"arn:aws:iam::{OTHER}:root")

        with self.refused("ResourceOwnerCheckException", "does not own it"):
            self.other.update_firewall_delete_protection(**protect)
        self.assertEqual(self.other.list_firewalls()["Firewalls"], [{"FirewallName": "edge", "FirewallArn": FIREWALL}])
        self.assertEqual(list(self.other.describe_firewall_metadata(FirewallArn=FIREWALL)["SupportedAvailabilityZones"]), [ZONE])
        association = self.other.create_vpc_endpoint_association(**new)["VpcEndpointAssociation"]["VpcEndpointAssociationArn"]
        self.assertTrue(association.startswith(OTHER_PREFIX + "vpc-endpoint-association/"))

        def status():
            return self.other.describe_vpc_endpoint_association(VpcEndpointAssociationArn=association)["VpcEndpointAssociationStatus"]["Status"]

        until("the association is READY", lambda: status() == "READY")
        self.assertEqual(self.other.list_vpc_endpoint_associations(FirewallArn=FIREWALL)["VpcEndpointAssociations"], [{"VpcEndpointAssociationArn": association}])

        flush = {"FirewallArn": FIREWALL, "VpcEndpointAssociationArn": association, "FlowFilters": [{"DestinationPort": "80"}]}
        with self.denied("StartFlowFlush", FIREWALL):
            self.other.start_flow_flush(**flush)
        self.assertTrue(self.nfw.start_flow_flush(**flush)["FlowOperationId"])

        self.nfw.delete_resource_policy(ResourceArn=FIREWALL)
        self.assertEqual(status(), "READY")
        self.assertEqual(self.nfw.describe_firewall(FirewallArn=FIREWALL)["Firewall"]["NumberOfAssociations"], 1)
        with self.refused("InvalidOperationException", association):
            self.nfw.delete_firewall(FirewallArn=FIREWALL)
        with self.denied("DeleteVpcEndpointAssociation", association):
            self.nfw.delete_vpc_endpoint_association(VpcEndpointAssociationArn=association)
        self.other.delete_vpc_endpoint_association(VpcEndpointAssociationArn=association)
        with self.denied("DescribeFirewallMetadata", FIREWALL):
            self.other.describe_firewall_metadata(FirewallArn=FIREWALL)


if __name__ == "__main__":
    unittest.main()
