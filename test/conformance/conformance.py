"""Calls every operation of the API model as boto3 would, and in every way that the model forbids.

Prints docs/conformance.md. What went wrong goes to standard error.
"""

import json
import os
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import boto3
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from fixtures import OMITTED, REGION, Fixtures
from model import Model

URL = os.environ["SLUICE_URL"]

# The parts of a ValidationException's text.
COUNT = re.compile(r"(\d+) validation errors? detected: ")
CLAUSE = re.compile(r"Value (?:null|'(?:.|\n)*?') at '([^']*)' failed to satisfy constraint: ((?:.|\n)*?)(?=; Value |\Z)")


class Conformance:
    def __init__(self, model, client):
        self.model, self.client = model, client
        self.failures = []
        self.kinds = Counter()

    def fail(self, operation, what):
        self.failures.append(f"{operation}: {what}")

    # Valid requests, through boto3's client: its serializer, parser and errors.

    def valid(self, operation, full):
        """Sends a request that keeps the model; returns what the table says of the answer."""
        fixtures = Fixtures(self.model, self.client, operation, full)
        request = self.model.value(self.model.input(operation), fixtures.given, fixtures.wanted)
        try:
            answer = self.client._make_api_call(operation, request)
        except ClientError as e:
            code = e.response["Error"]["Code"]
            if code not in {s["shape"] for s in self.model.operations[operation]["errors"]} or e.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                self.fail(operation, f"{request} is answered by {e}, which is not among the operation's errors")
                return "**" + code + "**"
            return code
        self.keeps(operation, answer, self.model.operations[operation]["output"]["shape"], "")
        return "OK"

    def keeps(self, operation, value, name, path):
        """Checks required members and enumerations of an answer."""
        shape = self.model.shapes[name]
        if value not in shape.get("enum", [value]):
            self.fail(operation, f"the answer's {path} is {value!r}, which the model does not have")
        for member in shape.get("required", ()):
            if member not in value:
                self.fail(operation, f"the answer lacks {path}.{member}, which is required")
        if shape["type"] == "list":
            for element in value:
                self.keeps(operation, element, shape["member"]["shape"], path + "[]")
        elif shape["type"] == "map":
            for element in value.values():
                self.keeps(operation, element, shape["value"]["shape"], path + "{}")
        elif shape["type"] == "structure":
            for member, element in value.items():
                if member != "ResponseMetadata":
                    self.keeps(operation, element, shape["members"][member]["shape"], f"{path}.{member}")

    # Requests that break the model.

    def violations(self, operation):
        """Sends every violation; returns how many there are and how many were answered as AWS would."""
        sent = right = 0
        for kind, path, clauses, request in self.model.violations(operation):
            sent += 1
            self.kinds[kind] += 1
            try:
                self.client._make_api_call(operation, request)
                wrong = "is accepted"
            except ClientError as e:
                wrong = self.differs(e.response, path, clauses)
            if wrong:
                self.fail(operation, f"{kind} at {path}: {wrong}")
            right += not wrong
        return sent, right

    def differs(self, response, path, clauses):
        """Says what is wrong with the answer to a violation."""
        code, message = response["Error"]["Code"], response["Error"]["Message"]
        if code != "ValidationException" or response["ResponseMetadata"]["HTTPStatusCode"] != 400:
            return f"answered by {code}: {message}"
        count = COUNT.match(message)
        found = count and CLAUSE.findall(message, count.end())
        if not found or int(count[1]) != len(found) or ("errors" in count[0]) != (len(found) > 1):
            return f"not in AWS's grammar: {message}"
        if any(at != path for at, _ in found):
            return f"other places are blamed: {message}"
        if not any(all(c in text for c in clauses) for _, text in found):
            return f"no clause has {clauses}: {message}"
        return ""

    def wrong_types(self, operation):
        """Sends members of wrong JSON types, which boto3 cannot, signed by botocore."""
        sent = right = 0
        for pointer, request in self.model.wrong_types(operation):
            sent += 1
            status, body = self.post(operation, json.dumps(request))
            answer = json.loads(body)
            good = status == 400 and answer["__type"] == "SerializationException" and f"value at {pointer} must be" in answer["Message"]
            if not good:
                self.fail(operation, f"wrong type at {pointer}: {status} {body}")
            right += good
        return sent, right

    def post(self, operation, body):
        headers = {"X-Amz-Target": f"{self.client.meta.service_model.metadata['targetPrefix']}.{operation}", "Content-Type": "application/x-amz-json-1.0"}
        request = AWSRequest("POST", URL + "/", headers=headers, data=body)
        SigV4Auth(self.client._request_signer._credentials, "network-firewall", REGION).add_auth(request)
        response = self.client._endpoint.http_session.send(request.prepare())
        return response.status_code, response.content.decode()


def client_of(model):
    """A boto3 client that was generated from the model, without checks of its own."""
    data = tempfile.TemporaryDirectory()
    service = Path(data.name, "network-firewall", model.service["metadata"]["apiVersion"])
    service.mkdir(parents=True)
    Path(service, "service-2.json").write_text(json.dumps(model.service))
    os.environ["AWS_DATA_PATH"] = data.name
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, max_pool_connections=1)
    client = boto3.client("network-firewall", endpoint_url=URL, config=config)
    data.cleanup()
    del os.environ["AWS_DATA_PATH"]
    return client


def drift(model):
    """Returns the operations that only boto3's own model has, and those that only ours has."""
    theirs = set(botocore.session.Session().get_service_model("network-firewall").operation_names)
    ours = set(model.operations)
    return ", ".join(sorted(theirs - ours)) or "none", ", ".join(sorted(ours - theirs)) or "none"


def cell(sent, right):
    return str(sent) if sent == right else f"**{right} of {sent}**"


def main():
    model = Model()
    c = Conformance(model, client_of(model))
    rows, totals = [], Counter()
    for operation in sorted(model.operations):
        minimal, full = c.valid(operation, False), c.valid(operation, True)
        broken, typed = c.violations(operation), c.wrong_types(operation)
        rows.append(f"| {operation} | {minimal} | {full} | {cell(*broken)} | {cell(*typed)} |")
        totals["ok minimal"] += minimal == "OK"
        totals["ok full"] += full == "OK"
        for name, (sent, right) in (("broken", broken), ("typed", typed)):
            totals[name] += sent
            totals[name + " right"] += right
    n = len(model.operations)
    kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(c.kinds.items()))
    later, earlier = drift(model)
    left_out = "; ".join(f"{', '.join(sorted(members))} of {name}" for name, members in sorted(OMITTED.items()))
    template = Path(__file__).with_name("conformance.md.in").read_text()
    print(template.format(operations=n, kinds=kinds, left_out=left_out, rows="\n".join(rows),
                          boto3=boto3.__version__, later=later, earlier=earlier,
                          ok_minimal=totals["ok minimal"], ok_full=totals["ok full"],
                          broken=cell(totals["broken"], totals["broken right"]), typed=cell(totals["typed"], totals["typed right"])), end="")  # fmt: skip
    for failure in c.failures[:200]:
        print(failure[:1500], file=sys.stderr)
    return 1 if c.failures else 0


if __name__ == "__main__":
    sys.exit(main())
