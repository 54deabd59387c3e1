"""What a signature and a token's policy cost: a URL signed V4 with a token next to the peers', and
a device's session policy next to writing the finished document as JSON."""

from __future__ import annotations

import importlib
import importlib.util
import json
import random

import pytest

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION
from bench.rounds import compare
from ossmedia import Bucket, Credentials, policy

ENDPOINT = "https://oss-cn-hangzhou.aliyuncs.com"
TOKEN = "CAIS" + "".join(random.Random(3).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=596))
KEYS = [f"camera/2026/11/23/{n:06}.ts" for n in range(50)]


def repeated(count, function):
    """A case that signs all keys ``count`` times."""

    def run():
        for _ in range(count):
            for key in KEYS:
                function(key)
        return count * len(KEYS)

    return run


def oss2_signer():
    oss2 = importlib.import_module("oss2")
    auth = oss2.StsAuth(KEY_ID, KEY_SECRET, TOKEN, auth_version="v4")
    bucket = oss2.Bucket(auth, ENDPOINT, BUCKET, region=REGION)
    return lambda key: bucket.sign_url("GET", key, 3600)


def v2_signer():
    oss = importlib.import_module("alibabacloud_oss_v2")
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        KEY_ID, KEY_SECRET, TOKEN
    )
    config.region, config.endpoint = REGION, ENDPOINT
    client = oss.Client(config)
    return lambda key: client.presign(oss.GetObjectRequest(bucket=BUCKET, key=key)).url


def test_signed_url(benchmark):
    known = {"oss2": oss2_signer, "alibabacloud_oss_v2": v2_signer}
    peers = {name: make() for name, make in known.items() if importlib.util.find_spec(name)}
    if not peers:
        pytest.skip("neither oss2 nor alibabacloud-oss-v2 is installed")
    mine = Credentials(KEY_ID, KEY_SECRET, TOKEN)
    with Bucket(BUCKET, endpoint=ENDPOINT, region=REGION, credentials=mine) as bucket:
        for sign in (bucket.presign, *peers.values()):
            assert "x-oss-signature=" in sign(KEYS[0])
        compare(
            benchmark,
            "URL signed V4 with a token of 600 B",
            repeated(20, bucket.presign),
            {name: repeated(2, sign) for name, sign in peers.items()},
        )


def test_policy(benchmark):
    prefixes = [policy.device_prefix(f"cam-{number}") for number in (1, 2)]
    document = policy.build([policy.Grant("rwam", BUCKET, prefix=prefix) for prefix in prefixes])

    def whole():
        for _ in range(1000):
            grants = [policy.Grant("rwam", BUCKET, prefix=prefix) for prefix in prefixes]
            policy.to_text(policy.build(grants))
        return 1000

    def plain():
        for _ in range(1000):
            json.dumps(document, separators=(",", ":"))
        return 1000

    compare(benchmark, "session policy of two grants", whole, {"json.dumps alone": plain})
