"""Sluice's own operations, with the function that docs/extensions.md shows.

The Go test holds these flows open through the firewall edge:

    10.0.0.1:40000 > 192.0.2.10:80  TCP, a download
    10.0.0.1:40000 > 192.0.2.53:53  UDP
"""

import json
import os
import pathlib
import re
import unittest
import urllib.error

from common import ZONE, Case, until

FIREWALL = os.environ["SLUICE_FIREWALL"]

document = pathlib.Path(__file__).parents[2] / "docs" / "extensions.md"
exec(re.search(r"```python\n(.*?)```", document.read_text(), re.DOTALL)[1])  # defines call


class Extensions(Case):
    def test_document(self):
        """Every operation of the model has its place in the document."""
        model = json.loads((document.parents[1] / "awsapi/wire/gen/sluice.json").read_text())
        for name, operation in model["operations"].items():
            self.assertIn(f'call("{operation.get("wireName", name)}"', document.read_text())

    def test_flush(self):
        listed = call("ListFlows", FirewallArn=FIREWALL, SortBy="BYTES", SortOrder="DESCENDING")
        self.assertEqual([f["Protocol"] for f in listed["Flows"]], ["6", "17"])
        self.assertEqual((listed["FlowCount"], listed["AvailabilityZone"]), (2, ZONE))
        filters = {"FlowFilters": [{"SourcePort": "40000"}], "ProtectedFlowFilters": [{"Protocols": ["17"]}]}
        preview = call("PreviewFlowFlush", FirewallArn=FIREWALL, **filters)
        self.assertEqual((preview["FlowCount"], len(preview["Sample"])), (1, 1))
        started = call("StartFlowFlush", FirewallArn=FIREWALL, StreamExceptionPolicy="REJECT", **filters)
        operation = {"FirewallArn": FIREWALL, "FlowOperationId": started["FlowOperationId"]}
        until("the flush has ended", lambda: self.nfw.describe_flow_operation(**operation)["FlowOperationStatus"] == "COMPLETED")
        flushed = self.nfw.list_flow_operation_results(**operation)["Flows"]
        self.assertEqual([f["Protocol"] for f in flushed], ["6"])
        with self.assertRaises(urllib.error.HTTPError) as caught:
            call("CancelFlowOperation", **operation)
        with caught.exception as refusal:
            self.assertEqual(json.load(refusal)["__type"].split("#")[-1], "InvalidOperationException")

    def test_stale(self):
        self.assertEqual(call("GetStaleFlows", FirewallArn=FIREWALL)["FlowCount"], 0)
        self.assertEqual(call("UpdateFirewallRematch", FirewallArn=FIREWALL, Rematch="REPORT")["Rematch"], "REPORT")


if __name__ == "__main__":
    unittest.main()
