"""Flow operations of single endpoints through boto3, and Sluice's own beside them.

The Go test holds the same UDP flow, 10.0.0.1:40000 > 192.0.2.53:53, open twice
through the firewall edge: at the primary endpoint and at the subnet of
SLUICE_SUBNET, where this test makes an endpoint association; and a second one,
from port 40001, at the subnet alone.
"""

import json
import os
import unittest
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session

from common import REGION, URL, ZONE, Case, until

FIREWALL, SUBNET = os.environ["SLUICE_FIREWALL"], os.environ["SLUICE_SUBNET"]
EVERYTHING = [{"SourcePort": "ANY"}]


def own(operation, **members):
    """One of Sluice's own operations, which boto3 does not know."""
    request = AWSRequest(
        "POST", URL, data=json.dumps({"FirewallArn": FIREWALL, **members}),
        headers={"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "Sluice_20261101." + operation},
    )
    SigV4Auth(Session().get_credentials(), "network-firewall", REGION).add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(URL, request.data.encode(), dict(request.headers))) as answer:
        return json.load(answer)


class Endpoints(Case):
    def ports(self, start, **scope):
        """The source ports of the flows of an operation, when it is COMPLETED."""
        operation = {"FirewallArn": FIREWALL, "FlowOperationId": start(FirewallArn=FIREWALL, FlowFilters=EVERYTHING, **scope)["FlowOperationId"]}
        described = until(
            "the operation has ended",
            lambda: (d := self.nfw.describe_flow_operation(**operation, **scope))["FlowOperationStatus"] != "IN_PROGRESS" and d,
        )
        self.assertEqual(described["FlowOperationStatus"], "COMPLETED")
        self.assertEqual({k: v for k, v in described.items() if k.startswith("VpcEndpoint")}, {k: v for k, v in scope.items() if k.startswith("VpcEndpoint")})
        self.assertEqual(described["AvailabilityZone"], ZONE)
        return sorted(f["SourcePort"] for f in self.nfw.list_flow_operation_results(**operation, **scope)["Flows"])

    def test_scopes(self):
        association = self.nfw.create_vpc_endpoint_association(FirewallArn=FIREWALL, VpcId="vpc-0d4e5f6a", SubnetMapping={"SubnetId": SUBNET})
        arn = association["VpcEndpointAssociation"]["VpcEndpointAssociationArn"]
        described = self.nfw.describe_vpc_endpoint_association(VpcEndpointAssociationArn=arn)["VpcEndpointAssociationStatus"]
        attachment = described["AssociationSyncState"][ZONE]["Attachment"]
        self.assertEqual((described["Status"], attachment["Status"], attachment["SubnetId"]), ("READY", "READY", SUBNET))
        self.assertNotIn("StatusMessage", attachment)
        firewall = self.nfw.describe_firewall(FirewallArn=FIREWALL)
        self.assertEqual(firewall["Firewall"]["NumberOfAssociations"], 1)
        primary = firewall["FirewallStatus"]["SyncStates"][ZONE]["Attachment"]["EndpointId"]
        self.assertNotEqual(primary, attachment["EndpointId"])

        zone, first, second = {"AvailabilityZone": ZONE}, {"VpcEndpointId": primary}, {"VpcEndpointAssociationArn": arn}
        for scope, want in ((zone, ["40000", "40000", "40001"]), (first, ["40000"]), (second, ["40000", "40001"])):
            with self.subTest(scope=scope):
                self.assertEqual(self.ports(self.nfw.start_flow_capture, **scope), want)
                listed = own("ListFlows", **scope)
                self.assertEqual((listed["FlowCount"], sorted(f["SourcePort"] for f in listed["Flows"])), (len(want), want))
                self.assertEqual(own("PreviewFlowFlush", FlowFilters=EVERYTHING, **scope)["FlowCount"], len(want))
                self.assertEqual(own("GetStaleFlows", **scope)["FlowCount"], 0)

        # Under rules that refuse them, all of them are stale, each at its endpoint.
        group = self.nfw.describe_rule_group(RuleGroupName="rules", Type="STATEFUL")
        self.nfw.update_rule_group(RuleGroupName="rules", Type="STATEFUL", UpdateToken=group["UpdateToken"], Rules="drop udp any any -> any any (sid:2;)")
        until("the new rules are in force", lambda: own("GetStaleFlows", **zone)["FlowCount"] == 3)
        self.assertEqual(own("GetStaleFlows", **first)["FlowCount"], 1)
        self.assertEqual(own("GetStaleFlows", **second)["FlowCount"], 2)

        self.assertEqual(self.ports(self.nfw.start_flow_flush, **second), ["40000", "40001"])
        self.assertEqual(self.ports(self.nfw.start_flow_capture, **second), [])
        self.assertEqual(self.ports(self.nfw.start_flow_capture, **first), ["40000"])
        own("FlushStaleFlows", **first)
        until("the stale flow of the primary endpoint is flushed", lambda: own("ListFlows", **zone)["FlowCount"] == 0)

        with self.refused("InvalidRequestException", "VpcEndpointId is invalid"):
            self.nfw.start_flow_capture(FirewallArn=FIREWALL, FlowFilters=EVERYTHING, VpcEndpointId=attachment["EndpointId"])
        self.nfw.delete_vpc_endpoint_association(VpcEndpointAssociationArn=arn)
        with self.refused("ResourceNotFoundException", arn):
            self.nfw.start_flow_capture(FirewallArn=FIREWALL, FlowFilters=EVERYTHING, **second)
        attachment = self.nfw.describe_firewall(FirewallArn=FIREWALL)["FirewallStatus"]["SyncStates"][ZONE]["Attachment"]
        self.assertIn(f"attaches packets to endpoint {SUBNET}, which the firewall does not have", attachment["StatusMessage"])


if __name__ == "__main__":
    unittest.main()
