"""ossmedia itself, through its Python API, as a peer among the others: appends that are stored when
the call returns, as everybody's are, and the writer that sends in the background."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN
from ossmedia import Bucket, Credentials
from ossmedia import appender as appender_module
from ossmedia import upload as upload_module
from ossmedia import writer as writer_module

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Background", "Own"]

# Everybody imports before the work; ossmedia by itself would do it in the middle.
LOADED = (appender_module, upload_module, writer_module)


class Own:
    """ossmedia.Bucket.

    Args:
        crc: answers must carry OSS's CRC-64. The body's is computed in either case.
    """

    def __init__(self, endpoint: str, ca: str, crc: bool) -> None:
        self._how: dict[str, Any] = {"endpoint": endpoint, "ca_file": ca, "verify_crc": crc}
        self._bucket = self._open()
        self.put = self._bucket.put

    def _open(self, **options: Any) -> Bucket:
        return Bucket(
            BUCKET,
            region=REGION,
            credentials=Credentials(KEY_ID, KEY_SECRET, TOKEN),
            **self._how,
            **options,
        )

    def appends(self, key: str, blobs: list[bytes]) -> None:
        with self._bucket.open(key, "ab", buffering=0) as appender:
            for blob in blobs:
                appender.write(blob)

    def camera(self, key: str, frames: Iterable[bytes], step: int) -> None:
        raw = self._bucket.open(key, "ab", buffering=0)
        with io.BufferedWriter(raw, step) as writer:
            for frame in frames:
                writer.write(frame)

    def file(self, key: str, path: str, size: int) -> None:
        self._bucket.upload(path, key)

    def parts(self, key: str, path: str, size: int, count: int, parallel: int) -> None:
        with self._open(block_size=size, blocks=parallel + 1, parallel=parallel) as bucket:
            bucket.upload(path, key)

    def close(self) -> None:
        self._bucket.close()


class Background(Own):
    """The writer with blocks and threads: a camera never waits for the network."""

    def appends(self, key: str, blobs: list[bytes]) -> None:
        self._write(key, blobs, len(blobs[0]))

    def camera(self, key: str, frames: Iterable[bytes], step: int) -> None:
        self._write(key, frames, step)

    def _write(self, key: str, pieces: Iterable[bytes], block_size: int) -> None:
        with self._bucket.open(key, "ab", block_size=block_size) as writer:
            for piece in pieces:
                writer.write(piece)
