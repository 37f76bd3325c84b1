"""The life cycle of go_test.go with boto3."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

RULE = "pass tcp any any -> any any (sid:1;)"
IN_USE = "Unable to delete the object because it is still in use"
ONE_CHANGE = "Given logging configuration attempts to create/modify multiple log destination configs"

nfw = boto3.client("network-firewall", config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16))


def refused(code, text, call, **request):
    try:
        call(**request)
    except ClientError as e:
        error = e.response["Error"]
        assert error["Code"] == code and text in error["Message"], error
    else:
        raise AssertionError(f"{request} was accepted, want {code}")


def until(what, ok):
    deadline = time.monotonic() + 20
    while not ok():
        assert time.monotonic() < deadline, f"waited in vain until {what}"


def gone(describe, **request):
    def check():
        try:
            describe(**request)
        except nfw.exceptions.ResourceNotFoundException:
            return True

    until(f"{request} is gone", check)


def main():
    created = nfw.create_rule_group(RuleGroupName="py", Type="STATEFUL", Capacity=10, Rules=RULE)
    group, token = created["RuleGroupResponse"]["RuleGroupArn"], created["UpdateToken"]
    document = {
        "StatelessDefaultActions": ["aws:forward_to_sfe"],
        "StatelessFragmentDefaultActions": ["aws:drop"],
        "StatefulRuleGroupReferences": [{"ResourceArn": group}],
    }
    created = nfw.create_firewall_policy(FirewallPolicyName="py", FirewallPolicy=document)
    policy, policy_token = created["FirewallPolicyResponse"]["FirewallPolicyArn"], created["UpdateToken"]
    firewall = nfw.create_firewall(FirewallName="py", FirewallPolicyArn=policy, VpcId="vpc-0a1b2c3d", SubnetMappings=[{"SubnetId": "subnet-0a1b2c3d"}])
    firewall = firewall["Firewall"]["FirewallArn"]
    until("the firewall is READY", lambda: nfw.describe_firewall(FirewallArn=firewall)["FirewallStatus"]["Status"] == "READY")

    # What else there is.
    match = {"Sources": [{"AddressDefinition": "10.0.0.0/8"}]}
    rules = [{"Priority": 1, "RuleDefinition": {"MatchAttributes": match, "Actions": ["aws:pass"]}}]
    nfw.create_rule_group(RuleGroupName="py", Type="STATELESS", Capacity=10, RuleGroup={"RulesSource": {"StatelessRulesAndCustomActions": {"StatelessRules": rules}}})
    tls = [{"CertificateAuthorityArn": "arn:aws:acm:us-east-1:123456789012:certificate/ca", "Scopes": [match]}]
    nfw.create_tls_inspection_configuration(TLSInspectionConfigurationName="py", TLSInspectionConfiguration={"ServerCertificateConfigurations": tls})
    association = nfw.create_vpc_endpoint_association(FirewallArn=firewall, VpcId="vpc-0d4e5f6a", SubnetMapping={"SubnetId": "subnet-0d4e5f6a"})
    association = {"VpcEndpointAssociationArn": association["VpcEndpointAssociation"]["VpcEndpointAssociationArn"]}
    until("the association is READY", lambda: nfw.describe_vpc_endpoint_association(**association)["VpcEndpointAssociationStatus"]["Status"] == "READY")
    refused("InvalidOperationException", "is associated with it", nfw.delete_firewall, FirewallArn=firewall)
    shared = {"Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Action": "network-firewall:CreateFirewallPolicy", "Resource": group}
    sharing = json.dumps({"Version": "2012-10-17", "Statement": [shared]})
    nfw.put_resource_policy(ResourceArn=group, Policy=sharing)
    assert nfw.describe_resource_policy(ResourceArn=group)["Policy"] == sharing

    refused("InvalidOperationException", IN_USE, nfw.delete_rule_group, RuleGroupArn=group)
    refused("InvalidOperationException", IN_USE, nfw.delete_firewall_policy, FirewallPolicyArn=policy)

    token = nfw.update_rule_group(RuleGroupArn=group, Rules=RULE, UpdateToken=token)["UpdateToken"]

    def update(_):
        try:
            nfw.update_rule_group(RuleGroupArn=group, Rules=RULE, UpdateToken=token)
        except nfw.exceptions.InvalidTokenException:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        won = sum(pool.map(update, range(16)))
    assert won == 1, f"{won} of 16 updates with one token succeeded"
    updated = nfw.update_firewall_policy(FirewallPolicyArn=policy, FirewallPolicy=document, Description="changed", UpdateToken=policy_token)
    assert updated["FirewallPolicyResponse"]["Description"] == "changed" and updated["UpdateToken"] != policy_token, updated

    nfw.tag_resource(ResourceArn=firewall, Tags=[{"Key": "team", "Value": "edge"}, {"Key": "cost", "Value": "1"}])
    nfw.untag_resource(ResourceArn=firewall, TagKeys=["cost"])
    tags = nfw.list_tags_for_resource(ResourceArn=firewall)["Tags"]
    assert tags == [{"Key": "team", "Value": "edge"}], tags

    both = [{"LogType": kind, "LogDestinationType": "CloudWatchLogs", "LogDestination": {"logGroup": kind.lower()}} for kind in ("ALERT", "FLOW")]

    def logs(wanted):
        return {"FirewallArn": firewall, "LoggingConfiguration": {"LogDestinationConfigs": wanted}}

    refused("InvalidRequestException", ONE_CHANGE, nfw.update_logging_configuration, **logs(both))
    for wanted in (both[:1], both, both[1:], []):
        nfw.update_logging_configuration(**logs(wanted))
        described = nfw.describe_logging_configuration(FirewallArn=firewall)["LoggingConfiguration"]["LogDestinationConfigs"]
        assert described == wanted, described

    pages = list(nfw.get_paginator("list_rule_groups").paginate(PaginationConfig={"PageSize": 100}))
    names = [g["Name"] for page in pages for g in page["RuleGroups"] if g["Name"].startswith("many-")]
    assert len(names) == len(set(names)) == 1000 and len(pages) == 11, (len(names), len(pages))

    nfw.delete_resource_policy(ResourceArn=group)
    nfw.delete_vpc_endpoint_association(**association)
    gone(nfw.describe_vpc_endpoint_association, **association)
    nfw.delete_tls_inspection_configuration(TLSInspectionConfigurationName="py")
    nfw.delete_rule_group(RuleGroupName="py", Type="STATELESS")
    nfw.delete_firewall(FirewallArn=firewall)
    gone(nfw.describe_firewall, FirewallArn=firewall)
    nfw.delete_firewall_policy(FirewallPolicyArn=policy)
    gone(nfw.describe_firewall_policy, FirewallPolicyArn=policy)
    nfw.delete_rule_group(RuleGroupArn=group)
    gone(nfw.describe_rule_group, RuleGroupArn=group)


main()
