"""Canary credentials through every error path at DEBUG: no secret in a log, a repr, an exception, a
URL in a log, a file."""

import io
import logging
import traceback

import pytest

from ossmedia import Bucket, Credentials, Retry, errors
from ossmedia.sts import TokenIssuer
from tests.routes.stream_model import FAULTS

SECRET = "canarysecretcanarysecret0001"
TOKEN = "canarytoken" + "T" * 600
QUICK = Retry(attempts=3, base_s=0.0005, cap_s=0.001, give_up_after_s=1)


def everything_said(error):
    """An exception with all its causes, contexts and locals' names, as a crash report would show
    it."""
    seen = "".join(traceback.format_exception(error))
    while error is not None:
        seen += f"{error!r}{error!s}{vars(error)!r}"
        error = error.__cause__ or error.__context__
    return seen


@pytest.fixture
def log():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture(params=["wrong secret", "unknown key", "unknown token"])
def credentials(request, oss_emulator):
    oss_emulator.reset()
    return {
        "wrong secret": Credentials(oss_emulator.access_key_id, SECRET),
        "unknown key": Credentials("LTAInobody", SECRET),
        "unknown token": Credentials("STS.nobody", SECRET, TOKEN),
    }[request.param]


def attempts(bucket):
    """Each call that can fail, as (name, call)."""

    def write(mode):
        with bucket.open("secret/key", mode) as f:
            f.write(b"x" * 300_000)

    yield from ((mode, lambda mode=mode: write(mode)) for mode in ("wb", "xb", "ab"))
    yield "read", lambda: bucket.open("secret/key").read()
    yield "stat", lambda: bucket.stat("secret/key")
    yield "list", lambda: list(bucket.list("secret/"))
    yield "delete", lambda: bucket.delete("secret/key")


def test_refusals(oss_emulator, credentials, log):
    said = repr(credentials) + str(credentials)
    with Bucket(
        oss_emulator.buckets[0],
        endpoint=oss_emulator.endpoint,
        region=oss_emulator.region,
        credentials=credentials,
        retry=QUICK,
    ) as bucket:
        said += repr(bucket)
        for name, call in attempts(bucket):
            with pytest.raises(errors.OssMediaError) as caught:
                call()
            said += name + everything_said(caught.value)
        url = bucket.presign("secret/key", expires_s=60)
        said += repr(bucket.stats())
    assert "Signature" in url or "signature" in url
    assert "AccessDenied" in said or "SignatureDoesNotMatch" in said or "Expired" in said
    for secret in (SECRET, TOKEN):
        assert secret not in said
        assert secret not in log.getvalue()


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_faults(oss_emulator, log, fault):
    oss_emulator.reset()
    key = Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret)
    with Bucket(
        oss_emulator.buckets[0],
        endpoint=oss_emulator.endpoint,
        region=oss_emulator.region,
        credentials=key,
        retry=QUICK,
    ) as bucket:
        oss_emulator.fault(**{**FAULTS[fault], "times": 0})
        said = ""
        for _, call in attempts(bucket):
            try:
                call()
            except errors.OssMediaError as error:
                said += everything_said(error)
    oss_emulator.clear_faults()
    assert key.access_key_secret not in said + log.getvalue()


def test_sts(oss_emulator, log):
    oss_emulator.reset()
    issuer = TokenIssuer(
        oss_emulator.role_arn,
        oss_emulator.buckets[0],
        credentials=Credentials(oss_emulator.access_key_id, SECRET),
        secure_transport=False,
        endpoint=oss_emulator.sts_endpoint,
        retry=QUICK,
    )
    with pytest.raises(errors.OssMediaError) as caught:
        issuer.get_token("cams/cam-1/*", "w", 900, device="cam-1")
    assert SECRET not in everything_said(caught.value) + repr(issuer) + log.getvalue()


def test_a_provider_that_tells_all(oss_emulator, log):
    """What a provider raises is the application's; ossmedia adds nothing of it to its own texts."""

    def provider():
        raise RuntimeError(f"could not fetch {SECRET}")

    with Bucket(
        oss_emulator.buckets[0],
        endpoint=oss_emulator.endpoint,
        region=oss_emulator.region,
        credentials=provider,
        retry=QUICK,
    ) as bucket:
        with pytest.raises(errors.CredentialsError) as caught:
            bucket.stat("x")
    assert SECRET not in str(caught.value) + repr(caught.value) + log.getvalue()
    assert SECRET in str(caught.value.__cause__)
