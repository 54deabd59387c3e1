"""Strings that try to leave a device's set of keys: as its id, as the prefix of its record, and as
the key or prefix that it asks for. What is not refused goes the whole way to STS, and the policy
that the cloud then holds is judged by the cloud's own evaluator: 12 actions on 500 keys, and no
allowed pair outside what was granted."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia.emulator.identities import ALLOW_ALL, Caller, Role, Session
from ossmedia.emulator.policies import Evaluation, request_context, resource_name
from ossmedia.model import Credentials
from ossmedia.sts import TokenIssuer
from tests.routes.test_token import Fleet
from tests.unit.server.rig import Camera, Time

# -- what is tried

WILD = ["*", "?", "**", "cam?", "cam*", "cam1/*", "*/cam1", "${", "${acs:SourceIp}", "$"]
WILD += ["${oss:Prefix}"]
PATHS = ["../", "..", "./", ".", "//", "/cam1", "cam1//x", "cam1/../cam2", "cam1/./", "..%2fcam2"]
PATHS += ["%2e%2e/", "%2f", "%252f", "%2a", "%3f", "%00", "\0", "\\", "cam1\\..\\cam2", "cam1/"]
MARKS = [":", "acs:oss:*:*:*", ",", '"', "'", "\t", "\r", "\n", "]", "}", '"},{"Effect":"Allow"']
MARKS += ["%", "cam1#", "cam1;", "~g2", "</", "&", "+", "|", "^", "=", "@"]
LETTERS = ["\uff0f", "\u2215", "\uff0a", "\uff1f", "\uff0e\uff0e", "\u202e", "\u200b", "\ufeff"]
LETTERS += ["\u0130", "e\u0301", "\u00e9", "\udcc0\udcaf", "\ud800", "\U0001f3a5", "CAM1"]
EDGES = ["", " ", "cam1.", "cam1 ", " cam1", "c" * 1024, "c" * 1025, "-cam", "_cam", "cam1\n"]
STRINGS = [*WILD, *PATHS, *MARKS, *LETTERS, *EDGES]

OBJECT_ACTIONS = [
    *("oss:GetObject", "oss:PutObject", "oss:DeleteObject", "oss:AbortMultipartUpload"),
    *("oss:ListParts", "oss:PutObjectAcl", "oss:GetObjectAcl", "oss:PutObjectTagging"),
]
BUCKET_ACTIONS = ["oss:ListObjects", "oss:ListMultipartUploads", "oss:PutBucketLifecycle"]
SERVICE_ACTIONS = ["oss:ListBuckets"]
ACTIONS = [*OBJECT_ACTIONS, *BUCKET_ACTIONS, *SERVICE_ACTIONS]

ALL_MODES = "rwaml"
GRANTED = {
    "oss:GetObject",
    "oss:PutObject",
    "oss:AbortMultipartUpload",
    "oss:ListParts",
    "oss:ListObjects",
}


def probes(own: str) -> list[str]:
    """500 keys: those of the device, those of neighbours, and every string in every place."""
    name = own.rpartition("/")[2]
    keys = [f"{own}/x", f"{own}/a/b.ts", own, f"{own}/", f"/{own}/x", f"{own}//x", "", "x"]
    near = ["0", "1", ".", "-", "_", "/../cam2", "\u200b", " ", "%2f", "\uff0f", "*", "?", "x"]
    keys += [own + end + "/x" for end in near] + [own + end for end in near]
    keys += [own.upper() + "/x", own.swapcase() + "/x", unicodedata.normalize("NFD", own) + "é/x"]
    for text in STRINGS:
        keys += [f"cams/{text}", f"cams/{text}/x", f"cams/{name}{text}", f"cams/{name}{text}/x"]
        keys += [f"cams/{name}/{text}", f"cams/cam2/{text}", text]
    keys += [f"cams/cam{number}/x" for number in range(40)]
    unique = list(dict.fromkeys(keys))
    assert len(unique) >= 500
    return unique


# -- the judge


class Judge:
    """The cloud's evaluator over what STS was given."""

    def __init__(self, cloud: Any) -> None:
        self._sessions: dict[str, Session] = cloud.cloud.identities._sessions
        self.region: str = cloud.region
        self._context = request_context(
            now=time.time(), source_ip="198.51.100.1", secure=True, query={}
        )
        self.inside = 0

    def escapes(self, access_key_id: str, own: str, *, exact: bool) -> list[tuple[str, str]]:
        """Pairs that are allowed and are not the device's.

        Args:
            own: prefix without a slash at its end, or one exact key.
        """
        session = self._sessions[access_key_id]
        assert session.session_policy is not None
        role = Role(session.role_arn, (ALLOW_ALL,), 43_200)
        caller = Caller("sts", access_key_id, None, session, role)
        found = []
        for key in probes(own):
            mine = key == own if exact else key.startswith(own + "/")
            for action in ACTIONS:
                allowed = self._allowed(caller, action, key, session.account)
                if allowed and mine and action in GRANTED:
                    self.inside += 1
                elif allowed:
                    found.append((action, key))
        return found

    def _allowed(self, caller: Caller, action: str, key: str, account: str) -> bool:
        if action in OBJECT_ACTIONS:
            resource = resource_name(self.region, account, "cams", key)
        elif action in BUCKET_ACTIONS:
            resource = resource_name(self.region, account, "cams")
        else:
            resource = resource_name(self.region, account, "*")
        context = self._context
        if action == "oss:ListObjects":
            context = {**context, "oss:Prefix": [key]}
        return Evaluation().authorize(caller, [(action, resource)], context=context) == "allow"


@pytest.fixture
def fleet(oss_emulator: Any, tmp_path: Path) -> Iterator[Fleet]:
    oss_emulator.reset()
    made = Fleet(oss_emulator, tmp_path)
    with made.running:
        yield made
    made.database.close()


@pytest.fixture
def judge(fleet: Fleet) -> Judge:
    return Judge(fleet.cloud)


def camera(fleet: Fleet, device_id: str, key: str) -> Camera:
    now = Time()
    now.seconds = time.time()
    return Camera(fleet.running.url, device_id, key, now)


def tried(fields: tuple[str, ...], function: Callable[..., Any], *words: Any, **more: Any) -> Any:
    """What a function returns; None where it refuses one of these fields."""
    try:
        return function(*words, **more)
    except ValueError as error:
        if not str(error).startswith(fields):
            raise
        return None


def granted(answer: Any) -> Any:
    """What an answer gives; None for a refusal. Anything else is an error."""
    if answer.status == 200:
        return answer.json
    assert answer.status in (400, 403), answer
    return None


def test_there_are_enough() -> None:
    assert len(set(STRINGS)) >= 70
    assert (len(ACTIONS), len(set(ACTIONS))) == (12, 12)
    assert len(probes("cams/cam1")) >= 500


def test_the_judge_sees_what_is_allowed(fleet: Fleet, judge: Judge) -> None:
    """A policy that is too wide by one star is found out, and a good one allows what it should."""
    key = Credentials(fleet.cloud.access_key_id, fleet.cloud.access_key_secret)
    issuer = TokenIssuer(
        fleet.cloud.role_arn, "cams", credentials=key, endpoint=fleet.cloud.sts_endpoint
    )
    wide = {
        "Effect": "Allow",
        "Action": ["oss:PutObject"],
        "Resource": ["acs:oss:*:*:cams/cams/cam1*"],
    }
    token = issuer.get_token_from_policy(json.dumps({"Version": "1", "Statement": [wide]}))
    escapes = judge.escapes(token.access_key_id, "cams/cam1", exact=False)
    assert ("oss:PutObject", "cams/cam10/x") in escapes
    assert ("oss:PutObject", "cams/cam1") in escapes
    good = issuer.get_token("cams/cam1/*", ALL_MODES, 900, device="cam1")
    judge.inside = 0
    assert judge.escapes(good.access_key_id, "cams/cam1", exact=False) == []
    assert judge.inside >= len(GRANTED) * len(STRINGS) * 0.9


def test_as_a_devices_id(fleet: Fleet, judge: Judge) -> None:
    """Alone, and joined to a good one at either side."""
    accepted = []
    for text in STRINGS:
        for device_id in (text, "cam1" + text, text + "cam1"):
            fields = ("device_id", "prefix")
            made = tried(fields, fleet.registry.add, device_id, modes=ALL_MODES)
            if made is None:
                continue
            told = granted(camera(fleet, device_id, made[1]).ask())
            assert told["key_prefix"] == f"cams/{device_id}/"
            assert judge.escapes(told["access_key_id"], f"cams/{device_id}", exact=False) == []
            accepted.append(device_id)
    # Nothing but letters, digits, "_" and "-" came through.
    assert 0 < len(accepted) < 12
    assert all(set(name) <= set("cam1CAM_-") for name in accepted), accepted
    assert judge.inside > 0


def test_as_a_records_prefix(fleet: Fleet, judge: Judge) -> None:
    """What an operator types: refused, or granted below exactly that."""
    accepted = []
    for number, text in enumerate(STRINGS):
        for place, prefix in enumerate(
            (text, f"cams/{text}", f"p{number}/cam1{text}", f"q{number}/{text}/x")
        ):
            device_id = f"cam-{number}-{place}"
            record = {"modes": ALL_MODES, "prefix": prefix}
            made = tried(("path", "prefix"), fleet.registry.add, device_id, **record)
            if made is None:
                continue
            device, key = made
            told = granted(camera(fleet, device_id, key).ask())
            assert told["key_prefix"] == device.prefix + "/"
            if prefix:
                assert device.prefix == prefix.removeprefix("/").removesuffix("/")
            assert judge.escapes(told["access_key_id"], device.prefix, exact=False) == []
            accepted.append(prefix)
    assert 0 < len(accepted) < len(STRINGS)
    assert judge.inside > 0


def test_as_the_prefix_that_is_asked_for(fleet: Fleet, judge: Judge) -> None:
    """A device asks for part of its set, over HTTP: refused, or granted below exactly that."""
    accepted = []
    for number, text in enumerate(STRINGS):
        device_id = f"cam-{number}"
        _, key = fleet.registry.add(device_id, modes=ALL_MODES)
        signer, own = camera(fleet, device_id, key), f"cams/{device_id}"
        for prefix in (text, own + text, f"{own}/{text}", f"{own}/{text}/x"):
            told = granted(signer.ask(json.dumps({"prefix": prefix}).encode()))
            if told is None:
                continue
            inner = prefix.removesuffix("/")
            assert inner == own or inner.startswith(own + "/")
            assert told["key_prefix"] == inner + "/"
            assert judge.escapes(told["access_key_id"], inner, exact=False) == []
            accepted.append(prefix)
    assert 0 < len(accepted) < len(STRINGS)
    assert judge.inside > 0


def test_as_one_exact_key(fleet: Fleet, judge: Judge) -> None:
    """The path of ``get_token``, for an application that names its keys itself."""
    key = Credentials(fleet.cloud.access_key_id, fleet.cloud.access_key_secret)
    issuer = TokenIssuer(
        fleet.cloud.role_arn, "cams", credentials=key, endpoint=fleet.cloud.sts_endpoint
    )
    accepted = []
    for text in STRINGS:
        for path in (text, f"cams/cam1/{text}", f"cams/cam1{text}", f"cams/cam1/{text}x"):
            token = tried(("path", "prefix"), issuer.get_token, path, "rwam", 900, device="cam1")
            if token is None:
                continue
            exact = not path.endswith("/*")
            own = path.removeprefix("/").removesuffix("/*")
            assert judge.escapes(token.access_key_id, own, exact=exact) == []
            accepted.append(path)
    assert 0 < len(accepted) < 2 * len(STRINGS)
    assert judge.inside > 0
