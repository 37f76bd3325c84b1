"""What valid requests are about: resources that exist, and values that fit together."""

import itertools
import json
from functools import cached_property

from model import NEWER, UUID

REGION = "us-east-1"
ZONE = "us-east-1a"
PREFIX = f"arn:aws:network-firewall:{REGION}:123456789012:"

RULE = "alert tcp 203.0.113.254 1 -> 203.0.113.253 1 (sid:1;)"
ANY = [{"AddressDefinition": "0.0.0.0/0"}]
ANALYSIS = ["TLS_SNI", "HTTP_HOST"]

# Members that cannot stand with others, or that Sluice refuses as its support
# table says, by structure: full requests leave them out.
OMITTED = {
    "CreateFirewallRequest": {"TransitGatewayId", "NatGatewayMappings", "ProxySettings", "NoSourcePreservation", "VpcEndpoint", "AvailabilityZoneMappings"},
    "CreateRuleGroupRequest": {"Rules"},
    "UpdateRuleGroupRequest": {"Rules"},
    "FirewallPolicy": {"TLSInspectionConfigurationArn", "EnableTLSSessionHolding"},
    "RulesSource": {"RulesString", "RulesSourceList", "StatelessRulesAndCustomActions"},
    "DescribeFlowOperationRequest": {"VpcEndpointId", "VpcEndpointAssociationArn"},
    "ListFlowOperationResultsRequest": {"VpcEndpointId", "VpcEndpointAssociationArn"},
    "ListFlowOperationsRequest": {"VpcEndpointId", "VpcEndpointAssociationArn"},
    "StartFlowCaptureRequest": {"VpcEndpointId", "VpcEndpointAssociationArn"},
    "StartFlowFlushRequest": {"VpcEndpointId", "VpcEndpointAssociationArn"},
}

# Newer members are refused, or stand for one that is there: AvailabilityZoneId.
for name, members in json.loads(NEWER.read_text())["members"].items():
    if not name.endswith("Response"):
        OMITTED.setdefault(name, set()).update(members)

# Members that a minimal request needs though the model does not require them.
# Besides, it names resources by ARN where name and ARN are offered.
NEEDED = {
    "CreateFirewallRequest": {"VpcId", "SubnetMappings"},
    "CreateRuleGroupRequest": {"RuleGroup"},
    "DescribeFirewallMetadataRequest": {"FirewallArn"},
    "EncryptionConfiguration": {"KeyId"},
    "RulesSource": {"StatefulRules"},
    "StartFlowCaptureRequest": {"AvailabilityZone"},
    "StartFlowFlushRequest": {"AvailabilityZone"},
    "UpdateFirewallEncryptionConfigurationRequest": {"EncryptionConfiguration"},
    "UpdateRuleGroupRequest": {"RuleGroup"},
}

VERBS = ("Create", "Describe", "Update", "Delete", "List")


class Fixtures:
    """Resources for one request. They are made when a member first asks for them."""

    numbers = itertools.count(1)

    def __init__(self, model, client, operation, full):
        self.model, self.client, self.operation, self.full = model, client, operation, full
        self.name = f"made-{next(self.numbers)}"

    # Resources.

    @cached_property
    def group(self):
        answer = self.client.create_rule_group(
            RuleGroupName=self.name, Type="STATEFUL", Capacity=100, Rules=RULE, SummaryConfiguration={"RuleOptions": ["SID"]}
        )
        return answer["RuleGroupResponse"]["RuleGroupArn"], answer["UpdateToken"]

    @cached_property
    def stateless(self):
        source = {"StatelessRules": [{"Priority": 1, "RuleDefinition": {"Actions": ["aws:pass"], "MatchAttributes": {"Sources": ANY, "Destinations": ANY}}}]}
        answer = self.client.create_rule_group(
            RuleGroupName=self.name, Type="STATELESS", Capacity=100, RuleGroup={"RulesSource": {"StatelessRulesAndCustomActions": source}}
        )
        return answer["RuleGroupResponse"]["RuleGroupArn"]

    @cached_property
    def strict(self):
        document = {"RulesSource": {"RulesString": RULE}, "StatefulRuleOptions": {"RuleOrder": "STRICT_ORDER"}}
        answer = self.client.create_rule_group(RuleGroupName=self.name + "-strict", Type="STATEFUL", Capacity=100, RuleGroup=document)
        return answer["RuleGroupResponse"]["RuleGroupArn"]

    @cached_property
    def policy(self):
        document = {"StatelessDefaultActions": ["aws:forward_to_sfe"], "StatelessFragmentDefaultActions": ["aws:drop"]}
        if self.full and self.operation == "UpdateFirewallPolicy":
            document["StatefulEngineOptions"] = {"RuleOrder": "STRICT_ORDER"}  # which an update cannot change
        answer = self.client.create_firewall_policy(FirewallPolicyName=self.name, FirewallPolicy=document)
        return answer["FirewallPolicyResponse"]["FirewallPolicyArn"], answer["UpdateToken"]

    @cached_property
    def firewall(self):
        mapping = {"AvailabilityZoneMappings": [{"AvailabilityZone": "us-east-1b"}]} if self.operation == "DisassociateAvailabilityZones" else {}
        answer = self.client.create_firewall(
            FirewallName=self.name, FirewallPolicyArn=self.policy[0], VpcId="vpc-0a1b2c3d",
            SubnetMappings=[{"SubnetId": "subnet-1"}, {"SubnetId": "subnet-2"}], EnabledAnalysisTypes=ANALYSIS, **mapping,
        )  # fmt: skip
        token = self.client.describe_firewall(FirewallName=self.name)["UpdateToken"]
        return answer["Firewall"]["FirewallArn"], token

    @cached_property
    def endpoint(self):
        answer = self.client.create_vpc_endpoint_association(FirewallArn=self.firewall[0], VpcId="vpc-0a1b2c3d", SubnetMapping={"SubnetId": "subnet-3"})
        return answer["VpcEndpointAssociation"]["VpcEndpointAssociationArn"]

    @cached_property
    def tls(self):
        answer = self.client.create_tls_inspection_configuration(TLSInspectionConfigurationName=self.name, TLSInspectionConfiguration=self.inspection)
        return answer["TLSInspectionConfigurationResponse"]["TLSInspectionConfigurationArn"], answer["UpdateToken"]

    @cached_property
    def flow_operation(self):
        return self.client.start_flow_capture(
            FirewallArn=self.firewall[0], AvailabilityZone=ZONE, FlowFilters=[{"SourceAddress": {"AddressDefinition": "10.0.0.0/8"}}]
        )["FlowOperationId"]

    @cached_property
    def report(self):
        return self.client.start_analysis_report(FirewallArn=self.firewall[0], AnalysisType="TLS_SNI")["AnalysisReportId"]

    @cached_property
    def shared(self):
        self.client.put_resource_policy(ResourceArn=self.group[0], Policy=self.resource_policy)
        return self.group[0]

    # Documents.

    inspection = {
        "ServerCertificateConfigurations": [
            {
                "ServerCertificates": [{"ResourceArn": f"arn:aws:acm:{REGION}:123456789012:certificate/{UUID}"}],
                "Scopes": [{"Protocols": [6], "Sources": [{"AddressDefinition": "10.0.0.0/8"}], "Destinations": [{"AddressDefinition": "0.0.0.0/0"}],
                            "SourcePorts": [{"FromPort": 0, "ToPort": 65535}], "DestinationPorts": [{"FromPort": 443, "ToPort": 443}]}],
            }
        ]
    }  # fmt: skip

    @property
    def resource_policy(self):
        return (
            '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},'
            '"Action":["network-firewall:CreateFirewallPolicy","network-firewall:UpdateFirewallPolicy","network-firewall:ListRuleGroups"],'
            f'"Resource":"{self.group[0]}"}}]}}'
        )

    # What a request consists of, see Model.value.

    def wanted(self, structure, member):
        if self.full:
            return member not in OMITTED.get(structure, ())
        shape = self.model.shapes[structure]
        if member in shape.get("required", ()):
            return True
        by_arn = member.endswith("Arn") and member[:-3] + "Name" in shape["members"]
        return member in NEEDED.get(structure, ()) or by_arn and structure == self.model.input(self.operation)

    def given(self, structure, member):
        values = self.values()
        value = values.get((structure, member), values.get(member))
        return (True, value(self)) if value else (False, None)

    def values(self):
        creates = self.operation.startswith("Create")
        token = {"UpdateRuleGroup": "group", "UpdateFirewallPolicy": "policy", "UpdateTLSInspectionConfiguration": "tls"}.get(self.operation, "firewall")
        tokened = "Proxy" not in self.operation and "Container" not in self.operation
        return {
            "FirewallArn": lambda f: f.firewall[0],
            "FirewallName": lambda f: f.name if creates else f.firewall and f.name,
            "FirewallPolicyArn": lambda f: f.policy[0],
            "FirewallPolicyName": lambda f: f.name if creates else f.policy and f.name,
            "RuleGroupArn": lambda f: f.group[0],
            "RuleGroupName": lambda f: f.name if creates else f.group and f.name,
            "TLSInspectionConfigurationArn": lambda f: f.tls[0],
            "TLSInspectionConfigurationName": lambda f: f.name if creates else f.tls and f.name,
            "ResourceArn": lambda f: f.shared if "ResourcePolicy" in f.operation else f.group[0],
            "VpcEndpointAssociationArn": lambda f: f.endpoint,
            **({"UpdateToken": lambda f: getattr(f, token)[1]} if tokened else {}),
            "Policy": lambda f: f.resource_policy,
            "Capacity": lambda f: 100,
            "AvailabilityZone": lambda f: ZONE if "Flow" in f.operation else "us-east-1b",
            "SubnetId": lambda f: "subnet-4",
            "SubnetIds": lambda f: ["subnet-2"],
            "VpcId": lambda f: "vpc-0a1b2c3d",
            "FlowOperationId": lambda f: f.flow_operation,
            "AnalysisReportId": lambda f: f.report,
            "EnabledAnalysisTypes": lambda f: ANALYSIS,
            "TLSInspectionConfiguration": lambda f: f.inspection,
            "NextToken": lambda f: None,
            **{(f"{verb}RuleGroup{what}Request", "Type"): lambda f: "STATEFUL" for verb in VERBS for what in ("", "Metadata", "Summary")},
            ("IPSet", "Definition"): lambda f: ["10.0.0.0/8"],
            ("PortSet", "Definition"): lambda f: ["80"],
            ("IPSetReference", "ReferenceArn"): lambda f: f"arn:aws:ec2:{REGION}:123456789012:prefix-list/pl-0a1b2c3d",
            ("FlowFilter", "SourcePort"): lambda f: "1024:65535",
            ("FlowFilter", "DestinationPort"): lambda f: "443",
            ("FlowFilter", "Protocols"): lambda f: ["6"],
            ("Header", "Source"): lambda f: "10.0.0.0/8",
            ("Header", "Destination"): lambda f: "ANY",
            ("Header", "SourcePort"): lambda f: "ANY",
            ("Header", "DestinationPort"): lambda f: "23",
            ("Header", "Protocol"): lambda f: "TCP",
            ("StatefulRule", "RuleOptions"): lambda f: [{"Keyword": "sid", "Settings": ["1"]}, {"Keyword": "msg", "Settings": ['"telnet"']}],
            ("FirewallPolicy", "StatelessDefaultActions"): lambda f: ["aws:forward_to_sfe"],
            ("FirewallPolicy", "StatelessFragmentDefaultActions"): lambda f: ["aws:drop"],
            ("FirewallPolicy", "StatefulDefaultActions"): lambda f: ["aws:drop_strict"],
            ("FirewallPolicy", "StatefulRuleGroupReferences"): lambda f: [{"ResourceArn": f.strict, "Priority": 1}],
            ("FirewallPolicy", "StatelessRuleGroupReferences"): lambda f: [{"ResourceArn": f.stateless, "Priority": 1}],
            ("PolicyVariables", "RuleVariables"): lambda f: {"HOME_NET": {"Definition": ["10.0.0.0/8"]}},
            ("StatefulEngineOptions", "RuleOrder"): lambda f: "STRICT_ORDER",
            ("LogDestinationConfig", "LogDestinationType"): lambda f: "CloudWatchLogs",
            ("LogDestinationConfig", "LogDestination"): lambda f: {"logGroup": "alerts"},
            ("FlowTimeouts", "TcpIdleTimeoutSeconds"): lambda f: 350,
        }
