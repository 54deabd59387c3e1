"""ossmedia itself, through its Python API, as a peer among the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN
from ossmedia import Bucket, Credentials
from ossmedia import upload as upload_module
from ossmedia import writer as writer_module

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Own"]

# Everybody imports before the work; ossmedia by itself would do it in the middle.
LOADED = (upload_module, writer_module)


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
        with self._bucket.open(key, "ab", block_size=len(blobs[0])) as writer:
            for blob in blobs:
                writer.write(blob)

    def camera(self, key: str, frames: Iterable[bytes], step: int) -> None:
        with self._bucket.open(key, "ab", block_size=step) as writer:
            for frame in frames:
                writer.write(frame)

    def file(self, key: str, path: str, size: int) -> None:
        self._bucket.upload(path, key)

    def parts(self, key: str, path: str, size: int, count: int, parallel: int) -> None:
        with self._open(block_size=size, blocks=parallel + 1, parallel=parallel) as bucket:
            bucket.upload(path, key)

    def close(self) -> None:
        self._bucket.close()
