"""Alibaba's own Python clients as peers: oss2 and alibabacloud-oss-v2. V4 signatures with a token;
CRC-64 on or off as asked, but for appends of v2, which computes none.

They never share code with ossmedia.
"""

from __future__ import annotations

import importlib.util
import io
import os
from typing import TYPE_CHECKING, Any

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

__all__ = ["V2", "Appended", "Oss2", "installed"]


def installed(endpoint: str) -> dict[str, Oss2 | V2]:
    """Those that can be imported here, by name."""
    known = {"oss2": Oss2, "alibabacloud_oss_v2": V2}
    return {n: peer(endpoint) for n, peer in known.items() if importlib.util.find_spec(n)}


class Appended(io.RawIOBase):
    """What stands behind ``io.BufferedWriter``: each of its writes becomes one append."""

    def __init__(self, append: Callable[[int, bytes], int]) -> None:
        super().__init__()
        self._append = append
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        taken = bytes(data)
        self._position = self._append(self._position, taken)
        return len(taken)


class _Appending:
    """The shape of both: appends one after the other, and a buffer in front for frames."""

    def append(self, key: str, position: int, data: bytes) -> int:
        raise NotImplementedError

    def appends(self, key: str, blobs: list[bytes]) -> None:
        position = 0
        for blob in blobs:
            position = self.append(key, position, blob)

    def camera(self, key: str, frames: Iterable[bytes], step: int) -> None:
        raw = Appended(lambda position, data: self.append(key, position, data))
        with io.BufferedWriter(raw, step) as writer:
            for frame in frames:
                writer.write(frame)


class Oss2(_Appending):
    """oss2.Bucket."""

    def __init__(self, endpoint: str, ca: str = "", crc: bool = True) -> None:
        import oss2

        if ca:
            os.environ["REQUESTS_CA_BUNDLE"] = ca
        auth = oss2.StsAuth(KEY_ID, KEY_SECRET, TOKEN, oss2.AUTH_VERSION_4)
        self._bucket = oss2.Bucket(
            auth, endpoint, BUCKET, region=REGION, is_path_style=True, enable_crc=crc
        )
        self._oss2, self._crc = oss2, crc
        self._crcs: dict[str, int] = {}

    def put(self, key: str, data: bytes) -> None:
        self._bucket.put_object(key, data)

    def append(self, key: str, position: int, data: bytes) -> int:
        """Returns the next position. It checks a CRC only when it is given that of the object."""
        before = self._crcs.get(key, 0) if self._crc else None
        answer = self._bucket.append_object(key, position, data, init_crc=before)
        if self._crc:
            self._crcs[key] = answer.crc
        return int(answer.next_position)

    def file(self, key: str, path: str, size: int) -> None:
        self._bucket.put_object_from_file(key, path)

    def parts(self, key: str, path: str, size: int, count: int, parallel: int) -> None:
        self._oss2.resumable_upload(
            self._bucket,
            key,
            path,
            store=self._oss2.ResumableStore(root=os.path.dirname(path)),
            multipart_threshold=size,
            part_size=size,
            num_threads=parallel,
        )

    def parts_of(self, key: str, data: bytes, size: int) -> None:
        """A multipart upload from memory, part by part."""
        upload = self._bucket.init_multipart_upload(key).upload_id
        done = []
        for number, at in enumerate(range(0, len(data), size), 1):
            piece = data[at : at + size]
            part = self._bucket.upload_part(key, upload, number, piece)
            info = self._oss2.models.PartInfo
            done.append(info(number, part.etag, part_crc=part.crc, size=len(piece)))
        self._bucket.complete_multipart_upload(key, upload, done)

    def close(self) -> None:
        return


class V2(_Appending):
    """alibabacloud_oss_v2.Client."""

    def __init__(self, endpoint: str, ca: str = "", crc: bool = True) -> None:
        import alibabacloud_oss_v2 as oss

        if ca:
            os.environ["REQUESTS_CA_BUNDLE"] = ca
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            KEY_ID, KEY_SECRET, TOKEN
        )
        config.region, config.endpoint, config.use_path_style = REGION, endpoint, True
        config.disable_upload_crc64_check = not crc
        config.insecure_skip_verify = bool(ca)  # it has no setting for an authority
        self._client: Any = oss.Client(config)
        self._oss: Any = oss

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(self._oss.PutObjectRequest(bucket=BUCKET, key=key, body=data))

    def append(self, key: str, position: int, data: bytes) -> int:
        """Returns the next position. This client checks no CRC-64 on appends."""
        request = self._oss.AppendObjectRequest(
            bucket=BUCKET, key=key, position=position, body=data
        )
        return int(self._client.append_object(request).next_position)

    def file(self, key: str, path: str, size: int) -> None:
        request = self._oss.PutObjectRequest(bucket=BUCKET, key=key)
        self._client.put_object_from_file(request, path)

    def parts(self, key: str, path: str, size: int, count: int, parallel: int) -> None:
        uploader = self._client.uploader(part_size=size, parallel_num=parallel)
        uploader.upload_file(self._oss.PutObjectRequest(bucket=BUCKET, key=key), filepath=path)

    def parts_of(self, key: str, data: bytes, size: int) -> None:
        """A multipart upload from memory, part by part."""
        oss, here = self._oss, {"bucket": BUCKET, "key": key}
        upload = self._client.initiate_multipart_upload(
            oss.InitiateMultipartUploadRequest(**here)
        ).upload_id

        done = []
        for number, at in enumerate(range(0, len(data), size), 1):
            request = oss.UploadPartRequest(
                **here, upload_id=upload, part_number=number, body=data[at : at + size]
            )
            etag = self._client.upload_part(request).etag
            done.append(oss.UploadPart(part_number=number, etag=etag))
        parts = oss.CompleteMultipartUpload(parts=done)
        self._client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(
                **here, upload_id=upload, complete_multipart_upload=parts
            )
        )

    def close(self) -> None:
        return
