"""An application server of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server.rig import Camera, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def url(world: World) -> str:
    """The address of a running server."""
    return world.start().url


@pytest.fixture
def camera(world: World, url: str) -> Camera:
    """A registered device."""
    return world.camera(url)
