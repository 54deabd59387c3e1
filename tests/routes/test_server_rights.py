"""The rights that the server's own key needs on the bucket: these are enough, and without one of
them exactly what needs it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from oss2.models import CorsRule

from ossmedia import Credentials
from ossmedia.server.archive import KEPT
from ossmedia.server.oss_access import OssAccess, OssUnavailable
from ossmedia.server.retention import lifecycle_rules
from ossmedia.server.settings import OssSettings
from ossmedia.sts import assume_role
from tests.routes.archive_rig import Site

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # oss2 leaves answers unread
KEY = "cams/cam-1/a.mp4"


def _fetch(access: OssAccess) -> None:
    try:
        with urlopen(access.sign(KEY, 60), timeout=20) as answer:
            assert answer.read() == b"video"
    except HTTPError as error:
        error.close()
        raise OssUnavailable(f"{error.code}") from None


def _delete(access: OssAccess) -> None:
    access.delete([KEY])
    with suppress(OssUnavailable):  # looking needs another right
        if access.head(KEY) is not None:
            raise AssertionError("it is still there")


NEEDS: dict[str, Callable[[OssAccess], Any]] = {
    "oss:ListObjects": lambda access: list(access.pages("cams/")),
    "oss:GetObject": _fetch,
    "oss:PutObjectTagging": lambda access: access.tag(KEY, KEPT),
    "oss:DeleteObjectTagging": lambda access: access.tag(KEY, {}),
    "oss:GetBucketLifecycle": lambda access: access.lifecycle(),
    "oss:PutBucketLifecycle": lambda access: access.set_lifecycle(lifecycle_rules(["cams/"], 30)),
    "oss:GetBucketCors": lambda access: access.cross_origin(),
    "oss:PutBucketCors": lambda access: access.set_cross_origin(
        [CorsRule(["https://page.example"], ["GET"], [], [], 60)]
    ),
    "oss:DeleteObject": _delete,
}


@pytest.fixture
def site(cloud: Any, tmp_path: Path) -> Iterator[Site]:
    with Site(cloud, tmp_path) as made:
        made.store(KEY)
        yield made


def limited(cloud: Any, actions: list[str]) -> OssAccess:
    """The server's access with a token that allows these actions on the bucket, and no other."""
    places = ["acs:oss:*:*:cams", "acs:oss:*:*:cams/*"]
    allow = {"Effect": "Allow", "Action": actions, "Resource": places}
    token = assume_role(
        cloud.role_arn,
        "server",
        json.dumps({"Version": "1", "Statement": [allow]}),
        900,
        credentials=Credentials(cloud.access_key_id, cloud.access_key_secret),
        endpoint=cloud.sts_endpoint,
        region=cloud.region,
    )
    environ = {
        "OSS_ACCESS_KEY_ID": token.access_key_id,
        "OSS_ACCESS_KEY_SECRET": token.access_key_secret,
        "OSS_SESSION_TOKEN": token.security_token,
    }
    return OssAccess(OssSettings("cams", cloud.endpoint, cloud.region), environ)


def test_these_are_enough(site: Site) -> None:
    access = limited(site.cloud, list(NEEDS))
    for call in NEEDS.values():
        call(access)
    access.close()


@pytest.mark.parametrize("missing", NEEDS)
def test_each_is_needed_for_its_own(site: Site, missing: str) -> None:
    access = limited(site.cloud, [name for name in NEEDS if name != missing])
    for name, call in NEEDS.items():
        if name == missing:
            with pytest.raises((OssUnavailable, AssertionError)):
                call(access)
        else:
            call(access)
    access.close()
