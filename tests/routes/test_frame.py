"""The FRAME and TOKEN routes: a narrow token from STS, a camera that has nothing else."""

import pytest

from ossmedia import Bucket, Credentials, crc64, errors
from ossmedia.demo import CLIP
from ossmedia.sts import TokenIssuer
from tests.routes.stream_model import session


@pytest.fixture
def issuer(oss_emulator):
    oss_emulator.reset()
    return TokenIssuer(
        oss_emulator.role_arn,
        oss_emulator.buckets[0],
        credentials=Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret),
        secure_transport=False,
        endpoint=oss_emulator.sts_endpoint,
        region=oss_emulator.region,
    )


@pytest.fixture
def open_bucket(oss_emulator):
    made = []

    def open_with(credentials):
        bucket = Bucket(
            oss_emulator.buckets[0],
            endpoint=oss_emulator.endpoint,
            region=oss_emulator.region,
            credentials=credentials,
        )
        made.append(bucket)
        return bucket

    yield open_with
    for bucket in made:
        bucket.close()


def test_a_clip_by_token(issuer, open_bucket, oss_emulator):
    clip = CLIP.read_bytes() * 6  # several parts
    token = Credentials.from_json(
        issuer.get_token("cams/cam-1/*", "wam", 900, device="cam-1").to_json()
    )
    assert token.access_key_id.startswith("STS.")
    assert token.expires_at > oss_emulator.cloud.clock.now() + 800
    camera = open_bucket(token)
    with camera.open("cams/cam-1/clip.mp4", "wb", block_size=102_400) as f:
        for at in range(0, len(clip), 1400):
            f.write(clip[at : at + 1400])
    with camera.open("cams/cam-1/live.mp4", "ab", linger_s=3600) as f:
        for at in range(0, len(clip), 50_000):
            f.write(clip[at : at + 50_000])
            f.sync(10)
    owner = open_bucket(Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret))
    for name, kind in (("clip", "Multipart"), ("live", "Appendable")):
        stat = owner.stat(f"cams/cam-1/{name}.mp4")
        assert (stat.size, stat.crc64, stat.type) == (len(clip), crc64(clip), kind)
        with owner.open(stat.key) as back:
            assert back.read() == clip


@pytest.mark.parametrize(
    "key", ["cams/cam-10/x", "cams/cam-1", "cams/cam-2/x", "cams/", "x", "cams/cam-1.mp4"]
)
def test_nothing_outside_the_prefix(issuer, open_bucket, key):
    camera = open_bucket(issuer.get_token("cams/cam-1/*", "rwaml", 900, device="cam-1"))
    for mode in ("wb", "xb", "ab"):
        with pytest.raises(errors.StreamBroken) as caught:
            with camera.open(key, mode) as f:
                f.write(b"x")
        assert isinstance(caught.value.__cause__, PermissionError)
    with pytest.raises(PermissionError):
        camera.stat(key)
    with pytest.raises(PermissionError):
        list(camera.list("cams/"))


def test_expiry_in_mid_stream_renews_and_goes_on(open_bucket, oss_emulator):
    oss_emulator.reset()
    tokens = []

    def provider():
        tokens.append(session(oss_emulator, "cam-1"))
        return tokens[-1]

    camera = open_bucket(provider)
    data = bytes(range(256)) * 1000
    for key, mode in (("cams/cam-1/a", "ab"), ("cams/cam-1/m", "wb")):
        with camera.open(key, mode, block_size=102_400, linger_s=3600) as f:
            f.write(data)
            if mode == "ab":
                f.sync(10)
            before = len(tokens)
            # Every token issued so far ends now; the camera's own clock does not know.
            oss_emulator.set_clock(oss_emulator.cloud.clock.offset_s + 901)
            f.write(data)
        assert len(tokens) == before + 1
        with camera.open(key) as back:
            assert back.read() == data * 2


def test_a_wrong_device_clock_costs_one_extra_request(issuer, open_bucket, oss_emulator):
    owner = open_bucket(Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret))
    oss_emulator.set_clock(40 * 365 * 86400)
    with owner.open("clock", "wb") as f:
        f.write(b"in the year 2066")
    assert f.result.requests == 2
    with owner.open("clock2", "wb") as f:
        f.write(b"again")
    assert f.result.requests == 1
    oss_emulator.set_clock(0)
