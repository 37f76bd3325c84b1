"""What the tests with boto3 share. The Go test that runs them sets the environment."""

import os
import time
import unittest
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL = os.environ["SLUICE_URL"]
REGION = os.environ["AWS_REGION"]
ZONE = os.environ["SLUICE_ZONE"]
PREFIX = f"arn:aws:network-firewall:{REGION}:{os.environ['SLUICE_ACCOUNT']}:"


def client(**kwargs):
    """A boto3 client of the box. Every failure is shown at once: no retries."""
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("network-firewall", **{"endpoint_url": URL, "config": config, **kwargs})


def until(what, ok, seconds=20):
    """Returns what ok returns once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = ok()
        if value:
            return value
    raise AssertionError(f"waited in vain until {what}")


class Case(unittest.TestCase):
    """A test case with a client and a word on API errors."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.nfw = client()

    @contextmanager
    def refused(self, code, text="", status=400):
        """The block must fail with this error of the API."""
        with self.assertRaises(ClientError) as caught:
            yield caught
        response = caught.exception.response
        self.assertEqual(response["Error"]["Code"], code, response)
        self.assertIn(text, response["Error"]["Message"])
        self.assertEqual(response["ResponseMetadata"]["HTTPStatusCode"], status)
        self.assertTrue(response["ResponseMetadata"]["RequestId"])
