"""The vectors that Sluice's own verifier is tested with, signed by botocore: the same signatures."""

import datetime
import json
import os
import unittest
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

with open(os.environ["SLUICE_VECTORS"], encoding="utf-8") as file:
    DATA = json.load(file)

NOW = datetime.datetime.strptime(DATA["date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def sign(vector):
    """The signature that botocore makes for the request of a vector."""
    method, target, _ = vector["request"][0].split(" ")
    headers = []
    for line in vector["request"][1:]:
        if line.startswith(" "):
            headers[-1][1] += "\n" + line
        else:
            headers.append(line.split(":", 1))
    url = "http://" + next(v.strip() for k, v in headers if k == "Host")
    keep = {}
    if vector.get("presigned"):
        query = dict(parse_qsl(urlsplit(target).query))
        keep = {k: v for k, v in query.items() if not k.startswith("X-Amz-")}
        target = "/"
    request = AWSRequest(method, url + target, data=vector.get("body", ""), params=keep)
    token = None
    for name, value in headers:
        if name == "X-Amz-Security-Token":
            token = value.strip()
        elif name not in ("Host", "X-Amz-Date"):
            request.headers.add_header(name, value)
    if vector.get("presigned"):
        token = query.get("X-Amz-Security-Token")
    credentials = Credentials(DATA["access_key"], DATA["secret"], token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW):
        if vector.get("presigned"):
            SigV4QueryAuth(credentials, DATA["service"], DATA["region"], expires=int(query["X-Amz-Expires"])).add_auth(request)
            return dict(parse_qsl(urlsplit(request.url).query))["X-Amz-Signature"]
        SigV4Auth(credentials, DATA["service"], DATA["region"]).add_auth(request)
        return request.headers["Authorization"].rsplit("Signature=", 1)[1]


class Vectors(unittest.TestCase):
    def test_vectors(self):
        for vector in DATA["vectors"]:
            with self.subTest(vector["name"]):
                self.assertEqual(sign(vector) == vector["signature"], vector.get("botocore", True))


if __name__ == "__main__":
    unittest.main()
