"""Reports of cameras: where the server looks, and how strictly it reads."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import AppServerReports, Receipt, errors
from ossmedia.device_link import DeviceLink
from ossmedia.model import Generation
from ossmedia.server.settings import Settings
from tests.routes.archive_rig import Site
from tests.unit.server.rig import Camera, Time, send

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # oss2 leaves answers unread


@pytest.fixture(scope="module")
def site(oss_emulator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    oss_emulator.reset()
    with Site(oss_emulator, tmp_path_factory.mktemp("site")) as made:
        made.device("cam-2")
        yield made


@pytest.fixture(scope="module")
def key(site: Site) -> str:
    return site.device("cam-1")


@pytest.fixture
def link(site: Site, key: str) -> DeviceLink:
    return site.link("cam-1", key)


@pytest.fixture
def reports(site: Site, key: str) -> AppServerReports:
    return AppServerReports(site.url, "cam-1", key, allow_insecure=True)


def test_each_object_is_looked_at(site: Site, link: DeviceLink) -> None:
    crc64 = site.archive.oss.head(site.store("cams/cam-1/a.mp4"))
    assert crc64 is not None
    objects = [
        {"key": "cams/cam-1/a.mp4", "size": 5, "crc64": crc64.crc64},
        {"key": "cams/cam-1/a.mp4", "crc64": int(crc64.crc64)},
        {"key": "cams/cam-1/a.mp4", "size": 6},
        {"key": "cams/cam-1/a.mp4", "crc64": "1"},
        {"key": "cams/cam-1/nothing.mp4"},
    ]
    told = link.ask("/v1/reports", {"objects": objects})
    assert told["device"] == "cam-1"
    states = [item["state"] for item in told["objects"]]
    assert states == ["recorded", "recorded", "different", "different", "missing"]
    row = site.archive.index.get(site.archive.catalogue.listing(["cam-1"], None, 1, None)[0][0].id)
    assert row is not None
    assert (row.size, row.seen_by) == (5, "report"), "as OSS has it, not as it was told"


def test_what_the_object_does_not_tell_is_taken_from_the_camera(
    site: Site, link: DeviceLink
) -> None:
    site.store("cams/cam-1/b.mp4")
    told = {"key": "cams/cam-1/b.mp4", "start": "2025-06-15T10:00:00.250Z", "duration_s": 7.5}
    link.ask("/v1/reports", {"objects": [told]})
    day = site.archive.catalogue.page(["cam-1"], 1_749_945_600, 1_750_032_000, 9, None)[0]
    assert [(entry.key, entry.start_at, entry.duration_s) for entry in day] == [
        ("cams/cam-1/b.mp4", 1_749_981_600.25, 7.5)
    ]


def _objects(**changed: Any) -> dict[str, Any]:
    return {"objects": [{"key": "cams/cam-1/a.mp4", **changed}]}


@pytest.mark.parametrize(
    ("document", "code", "field"),
    [
        ({}, "invalid-field", "objects: must be a list of 1-100"),
        ({"objects": []}, "invalid-field", "objects: must be a list of 1-100"),
        ({"objects": "x"}, "invalid-field", "objects: must be a list of 1-100"),
        ({"objects": [{}] * 101}, "invalid-field", "objects: must be a list of 1-100"),
        ({"objects": ["x"]}, "invalid-field", "objects: must hold objects"),
        ({"objects": [{}]}, "invalid-field", "key: must be a text of 1-1023 bytes"),
        ({"objects": [{"key": "a"}], "x": 1}, "unknown-field", "known: objects"),
        (_objects(bucket="clips"), "unknown-field", "'bucket'; known: key, size"),
        (_objects(key=5), "invalid-field", "key: must be a text"),
        (_objects(key="cams/cam-1/\0"), "invalid-field", "key: must be a text"),
        (_objects(key="cams/cam-1/" + "é" * 510), "invalid-field", "key: must be a text"),
        (_objects(key="cams/cam-2/a.mp4"), "prefix-outside", "key: must be below 'cams/cam-1'"),
        (_objects(key="cams/cam-10/a.mp4"), "prefix-outside", "key: must be below"),
        (_objects(key="cams/cam-1"), "prefix-outside", "key: must be below"),
        (_objects(size=-1), "invalid-field", "size: must be a whole number"),
        (_objects(size=True), "invalid-field", "size: must be a whole number"),
        (_objects(size=1.5), "invalid-field", "size: must be a whole number"),
        (_objects(size=1 << 50), "invalid-field", "size: must be a whole number"),
        (_objects(crc64="0x1"), "invalid-field", "crc64: must be a decimal number"),
        (_objects(crc64=-1), "invalid-field", "crc64: must be a decimal number"),
        (_objects(crc64=str(1 << 64)), "invalid-field", "crc64: must be below 2**64"),
        (_objects(start=5), "invalid-field", "start: not an ISO 8601 time in UTC"),
        (_objects(start="2025-06-15 10:00"), "invalid-field", "start: not an ISO 8601 time"),
        (_objects(start="2025-06-15T10:00:00+02:00"), "invalid-field", "start: not an ISO"),
        (_objects(duration_s=0), "invalid-field", "duration_s: must be above 0 and at most 604800"),
        (_objects(duration_s="6"), "invalid-field", "duration_s: must be above 0"),
        (_objects(duration_s=604_801), "invalid-field", "duration_s: must be above 0"),
    ],
)
def test_a_report_is_read_strictly(
    site: Site, key: str, document: dict[str, Any], code: str, field: str
) -> None:
    """Nothing of a report is noted when one field of it is wrong."""
    now = Time()
    now.seconds = time.time()
    camera = Camera(site.url, "cam-1", key, now)
    body = json.dumps(document).encode()
    claim = camera.claim(target="/v1/reports", body=body)
    answer = send(site.url, "POST", "/v1/reports", body, {"Authorization": claim.header()})
    assert answer.code == code
    assert answer.json["detail"].startswith(field)
    assert "ossmedia-answer" in answer.headers, "signed, as all that a device is told"


def test_an_unsigned_report_is_refused(site: Site) -> None:
    assert send(site.url, "POST", "/v1/reports", b"{}").code == "unauthorized"


def test_while_oss_does_not_answer_the_camera_may_come_again(
    site: Site, reports: AppServerReports
) -> None:
    site.store("cams/cam-1/c.mp4")
    site.cloud.fault("status", operation="HeadObject", times=0, status=503)
    with pytest.raises(errors.Unavailable) as caught:
        reports.report(Receipt("cams/cam-1/c.mp4", 5, 1))
    site.cloud.clear_faults()
    assert caught.value.retry_after_s == 5


def test_a_receipt_is_enough(site: Site, key: str, reports: AppServerReports) -> None:
    with site.bucket("cam-1", key) as bucket:
        with bucket.open("cams/cam-1/d.ts", "ab") as f:
            f.write(b"live")
        receipt = f.result
        assert reports.report(receipt) == "recorded"
        bent = Receipt(receipt.key, receipt.size, receipt.crc64 ^ 1)
        assert reports.report(bent) == "different"
        assert reports.report(Receipt("cams/cam-1/none.ts", 1, 1)) == "missing"


def test_a_forked_stream_is_reported_by_its_generations(
    site: Site, reports: AppServerReports
) -> None:
    names = ("cams/cam-1/e.ts", "cams/cam-1/e.ts~g2")
    generations = tuple(Generation(name, n * 5, 5, 0) for n, name in enumerate(names))
    receipt = Receipt(names[0], 10, 1, generations=generations)
    site.store(names[0])
    assert reports.report(receipt, start_at=1_750_000_000.5) == "missing"
    site.store(names[1])
    assert reports.report(receipt, start_at=1_750_000_000.5, duration_s=3) == "recorded"


@pytest.mark.parametrize(
    ("table", "values", "text"),
    [
        ("recordings", {"keep_days": -1}, "recordings.keep_days: must be 0-36500, not -1"),
        ("recordings", {"lifecycle_days": 1.5}, "recordings.lifecycle_days: must be a whole"),
        ("recordings", {"reconcile_s": "x"}, "recordings.reconcile_s: must be a whole number"),
        ("recordings", {"callback_url": "cams.example.com/x"}, "recordings.callback_url: must be"),
        ("recordings", {"callback_url": "https://u:p@h/x"}, "recordings.callback_url: must be"),
        ("recordings", {"callback_url": "https://h/x?y"}, "recordings.callback_url: must be"),
        ("recordings", {"callback_keys_from": "https://h"}, "recordings.callback_keys_from: must"),
        ("recordings", {"keep": 1}, "recordings.keep: unknown; known here: keep_days"),
        ("oss", {"server_endpoint": "ftp://x"}, "oss.server_endpoint: must begin with"),
        ("oss", {"ca_file": 5}, "oss.ca_file: must be a text"),
    ],
)
def test_settings_name_the_key_and_the_limit(
    table: str, values: dict[str, Any], text: str, tmp_path: Path
) -> None:
    data = {
        "sts": {"role_arn": "acs:ram::1234567890123456:role/uploader"},
        "oss": {"bucket": "cams", "endpoint": "https://oss-cn-hangzhou.aliyuncs.com"},
    }
    data[table] = {**data.get(table, {}), **values}
    with pytest.raises(ValueError, match="^" + re.escape(text)):
        Settings.from_dict(data, tmp_path)
