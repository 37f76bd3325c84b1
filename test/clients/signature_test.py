"""Signature Version 4 as botocore makes it, and what becomes of requests that are not signed so."""

import datetime
import os
import unittest
from unittest import mock

from botocore import UNSIGNED
from botocore.config import Config

from common import Case, client

KEY_ID, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


class Signatures(Case):
    def list(self, **kwargs):
        return client(**kwargs).list_firewalls()

    def test_right(self):
        self.assertIn("Firewalls", self.list())

    def test_wrong_secret(self):
        with self.refused("InvalidSignatureException", "does not match the signature you provided", 403):
            self.list(aws_access_key_id=KEY_ID, aws_secret_access_key="wrong")

    def test_unknown_key(self):
        with self.refused("UnrecognizedClientException", "security token", 403):
            self.list(aws_access_key_id="AKIAUNKNOWN", aws_secret_access_key="wrong")

    def test_session_token(self):
        with self.refused("UnrecognizedClientException", "security token", 403):
            self.list(aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, aws_session_token="none of ours")

    def test_other_region(self):
        with self.refused("InvalidSignatureException", "valid region", 403):
            self.list(region_name="eu-west-1")

    def test_unsigned(self):
        with self.refused("MissingAuthenticationTokenException", "", 403):
            self.list(config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}))

    def test_clock(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        for minutes, words in ((-16, "Signature expired"), (16, "Signature not yet current")):
            with self.subTest(minutes=minutes):
                skewed = now + datetime.timedelta(minutes=minutes)
                with mock.patch("botocore.auth.get_current_datetime", return_value=skewed):
                    with self.refused("InvalidSignatureException", words, 403):
                        self.list()
        with mock.patch("botocore.auth.get_current_datetime", return_value=now - datetime.timedelta(minutes=14)):
            self.assertIn("Firewalls", self.list())

    def test_tampered_body(self):
        def tamper(request, **_):
            request.body = request.body.replace(b'"MaxResults": 1', b'"MaxResults": 9')
            assert b'"MaxResults": 9' in request.body

        nfw = client()
        nfw.meta.events.register("before-send.network-firewall", tamper)
        with self.refused("InvalidSignatureException", "does not match the signature you provided", 403):
            nfw.list_firewalls(MaxResults=1)

    def test_tampered_operation(self):
        def tamper(request, **_):
            request.headers["X-Amz-Target"] = "NetworkFirewall_20201112.ListFirewallPolicies"

        nfw = client()
        nfw.meta.events.register("before-send.network-firewall", tamper)
        with self.refused("InvalidSignatureException", "", 403):
            nfw.list_firewalls()


if __name__ == "__main__":
    unittest.main()
