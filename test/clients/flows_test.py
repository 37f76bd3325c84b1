"""Flow operations through boto3, with every member of every call.

The Go test holds these flows open through the firewall edge:

    10.0.0.1:40000 > 192.0.2.10:80   TCP, a download
    10.0.0.1:40000 > 192.0.2.53:53   UDP
    fd00::1:40000 > 2001:db8::53:53  UDP
"""

import datetime
import os
import unittest

from common import PREFIX, ZONE, Case, until

FIREWALL = os.environ["SLUICE_FIREWALL"]
EVERYTHING = [{"SourcePort": "ANY"}]


class Flows(Case):
    def completed(self, start, **kwargs):
        """Starts an operation, waits until it is COMPLETED and returns its description."""
        started = start(FirewallArn=FIREWALL, **kwargs)
        self.assertEqual(started["FirewallArn"], FIREWALL)
        self.assertEqual(started["FlowOperationStatus"], "IN_PROGRESS")

        def ended():
            described = self.nfw.describe_flow_operation(FirewallArn=FIREWALL, FlowOperationId=started["FlowOperationId"])
            return described["FlowOperationStatus"] != "IN_PROGRESS" and described

        described = until("the operation has ended", ended)
        self.assertEqual(described["FlowOperationStatus"], "COMPLETED")
        self.assertNotIn("StatusMessage", described)
        return described

    def results(self, described, size=None):
        """All flows of an operation, by boto3's paginator."""
        pages = self.nfw.get_paginator("list_flow_operation_results").paginate(
            FirewallArn=FIREWALL,
            FlowOperationId=described["FlowOperationId"],
            AvailabilityZone=ZONE,
            PaginationConfig={"PageSize": size} if size else {},
        )
        return sorted(pages.build_full_result()["Flows"], key=lambda f: (f["SourceAddress"]["AddressDefinition"], f["Protocol"]))

    def test_capture(self):
        described = self.completed(self.nfw.start_flow_capture, AvailabilityZone=ZONE, FlowFilters=EVERYTHING)
        self.assertEqual(described["FlowOperationType"], "FLOW_CAPTURE")
        for size in (None, 1, 2):
            flows = self.results(described, size)
            self.assertEqual(
                [(f["SourceAddress"]["AddressDefinition"], f["SourcePort"], f["DestinationAddress"]["AddressDefinition"], f["DestinationPort"], f["Protocol"]) for f in flows],
                [
                    ("10.0.0.1", "40000", "192.0.2.53", "53", "17"),
                    ("10.0.0.1", "40000", "192.0.2.10", "80", "6"),
                    ("fd00::1", "40000", "2001:db8::53", "53", "17"),
                ],
            )
            for f in flows:
                self.assertGreaterEqual(f["PacketCount"], 2)
                self.assertGreater(f["ByteCount"], 40)
                self.assertGreaterEqual(f["Age"], 0)
        page = self.nfw.list_flow_operation_results(
            FirewallArn=FIREWALL, FlowOperationId=described["FlowOperationId"], AvailabilityZone=ZONE, MaxResults=2
        )
        self.assertEqual(len(page["Flows"]), 2)
        self.assertEqual(page["FlowOperationStatus"], "COMPLETED")
        page = self.nfw.list_flow_operation_results(
            FirewallArn=FIREWALL, FlowOperationId=described["FlowOperationId"], AvailabilityZone=ZONE, MaxResults=2, NextToken=page["NextToken"]
        )
        self.assertEqual(len(page["Flows"]), 1)
        self.assertNotIn("NextToken", page)

    def test_every_member(self):
        """The call with all of its members; MinimumFlowAgeInSeconds spares the flows."""
        filters = [
            {
                "SourceAddress": {"AddressDefinition": "10.0.0.0/8"},
                "DestinationAddress": {"AddressDefinition": "192.0.2.53/32"},
                "SourcePort": "1024:65535",
                "DestinationPort": "53",
                "Protocols": ["17"],
            },
            {
                "SourceAddress": {"AddressDefinition": "fd00::1"},
                "DestinationAddress": {"AddressDefinition": "2001:db8::/32"},
                "SourcePort": "40000",
                "DestinationPort": "ANY",
                "Protocols": ["6", "17"],
            },
        ]
        asked = datetime.datetime.now(datetime.timezone.utc)
        described = self.completed(
            self.nfw.start_flow_flush, AvailabilityZone=ZONE, MinimumFlowAgeInSeconds=3600, FlowFilters=filters
        )
        self.assertEqual(described["FlowOperation"], {"MinimumFlowAgeInSeconds": 3600, "FlowFilters": filters})
        self.assertEqual(described["FlowOperationType"], "FLOW_FLUSH")
        self.assertEqual(described["AvailabilityZone"], ZONE)
        self.assertEqual(described["FirewallArn"], FIREWALL)
        self.assertLess(abs((described["FlowRequestTimestamp"] - asked).total_seconds()), 10)
        self.assertEqual(self.results(described), [])

        captured = self.completed(self.nfw.start_flow_capture, AvailabilityZone=ZONE, MinimumFlowAgeInSeconds=0, FlowFilters=filters)
        self.assertEqual(len(self.results(captured)), 2)

    def test_scopes(self):
        """A zone by name or id, its endpoint, or nothing where there is but one zone."""
        endpoint = self.nfw.describe_firewall(FirewallArn=FIREWALL)["FirewallStatus"]["SyncStates"][ZONE]["Attachment"]["EndpointId"]
        for scope in ({}, {"AvailabilityZone": ZONE}, {"AvailabilityZone": "use1-az1"}, {"VpcEndpointId": endpoint}):
            with self.subTest(scope=scope):
                described = self.completed(self.nfw.start_flow_capture, FlowFilters=EVERYTHING, **scope)
                self.assertEqual(described["AvailabilityZone"], ZONE)
                self.assertEqual(described.get("VpcEndpointId"), scope.get("VpcEndpointId"))
                listed = self.nfw.list_flow_operations(FirewallArn=FIREWALL, MaxResults=1, **scope)["FlowOperations"]
                self.assertEqual(listed[0]["FlowOperationId"], described["FlowOperationId"])
        with self.refused("InvalidRequestException", "cannot exist together"):
            self.nfw.start_flow_flush(FirewallArn=FIREWALL, FlowFilters=EVERYTHING, AvailabilityZone=ZONE, VpcEndpointId=endpoint)
        with self.refused("InvalidRequestException", "VpcEndpointId is invalid"):
            self.nfw.start_flow_flush(FirewallArn=FIREWALL, FlowFilters=EVERYTHING, VpcEndpointId="vpce-0123456789abcdef0")
        with self.refused("ResourceNotFoundException", "vpc-endpoint-association/"):
            self.nfw.start_flow_flush(
                FirewallArn=FIREWALL, FlowFilters=EVERYTHING, VpcEndpointAssociationArn=PREFIX + "vpc-endpoint-association/0af3c3a8"
            )

    def test_list(self):
        ids = [
            self.completed(start, AvailabilityZone=ZONE, FlowFilters=[{"SourceAddress": {"AddressDefinition": "192.0.2.255"}}])["FlowOperationId"]
            for start in (self.nfw.start_flow_capture, self.nfw.start_flow_flush, self.nfw.start_flow_capture)
        ]
        for kind, want in (("FLOW_CAPTURE", [ids[2], ids[0]]), ("FLOW_FLUSH", [ids[1]])):
            pages = self.nfw.get_paginator("list_flow_operations").paginate(
                FirewallArn=FIREWALL, AvailabilityZone=ZONE, FlowOperationType=kind, PaginationConfig={"PageSize": 1}
            )
            operations = pages.build_full_result()["FlowOperations"]
            self.assertEqual({o["FlowOperationType"] for o in operations}, {kind})
            self.assertEqual([o["FlowOperationId"] for o in operations if o["FlowOperationId"] in ids], want)

    def test_errors_are_typed(self):
        other = PREFIX + "firewall/other"
        with self.assertRaises(self.nfw.exceptions.ResourceNotFoundException):
            self.nfw.start_flow_flush(FirewallArn=other, FlowFilters=EVERYTHING)
        with self.assertRaises(self.nfw.exceptions.ResourceNotFoundException):
            self.nfw.describe_flow_operation(FirewallArn=FIREWALL, FlowOperationId="0af3c3a8-0000-4000-8000-0123456789ab")
        with self.assertRaises(self.nfw.exceptions.InvalidRequestException):
            self.nfw.start_flow_flush(FirewallArn=FIREWALL, FlowFilters=EVERYTHING * 21)
        with self.refused("InvalidRequestException", "Protocols has invalid format, parameter: [tcp], context: FlowFilters[0].Protocols"):
            self.nfw.start_flow_flush(FirewallArn=FIREWALL, FlowFilters=[{"Protocols": ["tcp"]}])
        with self.refused("ValidationException", "flowFilters.1.member.sourceAddress.addressDefinition"):
            self.nfw.start_flow_flush(FirewallArn=FIREWALL, FlowFilters=[{"SourceAddress": {"AddressDefinition": "everywhere"}}])

    def test_z_flush(self):
        """Last, for it ends the download: the flush of one flow."""
        described = self.completed(
            self.nfw.start_flow_flush,
            AvailabilityZone=ZONE,
            MinimumFlowAgeInSeconds=0,
            FlowFilters=[
                {
                    "SourceAddress": {"AddressDefinition": "10.0.0.1"},
                    "DestinationAddress": {"AddressDefinition": "192.0.2.0/24"},
                    "SourcePort": "40000",
                    "DestinationPort": "80",
                    "Protocols": ["6"],
                }
            ],
        )
        (flow,) = self.results(described)
        self.assertEqual(flow["Protocol"], "6")
        self.assertEqual(flow["DestinationPort"], "80")
        left = self.completed(self.nfw.start_flow_capture, AvailabilityZone=ZONE, FlowFilters=EVERYTHING)
        self.assertEqual([f["Protocol"] for f in self.results(left)], ["17", "17"])


if __name__ == "__main__":
    unittest.main()
