"""A bucket of the local cloud, and a file to put into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ossmedia import Bucket, Credentials


@pytest.fixture
def bucket(cloud: Any) -> Any:
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    with Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=key) as made:
        yield made


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(range(256)) * 100)
    return path
