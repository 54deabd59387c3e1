"""The peers' own clients at the sink, doing the same work: oss2 and, where it is installed,
alibabacloud-oss-v2. V4 signatures with a token and CRC-64 on, as in ossmedia.

In flows the sink's address, out flow cases for ``bench.rounds``. They never share code with it.
"""

from __future__ import annotations

import importlib.util

from bench.sink import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN

__all__ = ["V2", "Oss2", "installed"]


def installed(endpoint: str) -> dict[str, Oss2 | V2]:
    """The peers that can be imported here, by name."""
    known = {"oss2": Oss2, "alibabacloud_oss_v2": V2}
    return {n: peer(endpoint) for n, peer in known.items() if importlib.util.find_spec(n)}


class Oss2:
    """oss2.Bucket."""

    def __init__(self, endpoint: str) -> None:
        import oss2

        auth = oss2.StsAuth(KEY_ID, KEY_SECRET, TOKEN, oss2.AUTH_VERSION_4)
        self._bucket = oss2.Bucket(auth, endpoint, BUCKET, region=REGION, is_path_style=True)
        self._part = oss2.models.PartInfo

    def put(self, key: str, data: bytes) -> None:
        self._bucket.put_object(key, data)

    def append(self, key: str, position: int, data: bytes) -> int:
        """Returns the next position."""
        return int(self._bucket.append_object(key, position, data).next_position)

    def parts(self, key: str, data: bytes, size: int) -> None:
        """A multipart upload, part by part."""
        upload = self._bucket.init_multipart_upload(key).upload_id
        done = []
        for number, at in enumerate(range(0, len(data), size), 1):
            piece = data[at : at + size]
            part = self._bucket.upload_part(key, upload, number, piece)
            done.append(self._part(number, part.etag, part_crc=part.crc, size=len(piece)))
        self._bucket.complete_multipart_upload(key, upload, done)


class V2:
    """alibabacloud_oss_v2.Client."""

    def __init__(self, endpoint: str) -> None:
        import alibabacloud_oss_v2 as oss

        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            KEY_ID, KEY_SECRET, TOKEN
        )
        config.region, config.endpoint, config.use_path_style = REGION, endpoint, True
        self._client, self._oss = oss.Client(config), oss

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(self._oss.PutObjectRequest(bucket=BUCKET, key=key, body=data))

    def append(self, key: str, position: int, data: bytes) -> int:
        """Returns the next position. This client checks no CRC-64 on appends."""
        request = self._oss.AppendObjectRequest(
            bucket=BUCKET, key=key, position=position, body=data
        )
        return int(self._client.append_object(request).next_position)

    def parts(self, key: str, data: bytes, size: int) -> None:
        """A multipart upload, part by part."""
        oss, here = self._oss, {"bucket": BUCKET, "key": key}
        upload = self._client.initiate_multipart_upload(
            oss.InitiateMultipartUploadRequest(**here)
        ).upload_id
        done = []
        for number, at in enumerate(range(0, len(data), size), 1):
            part = self._client.upload_part(
                oss.UploadPartRequest(
                    **here, upload_id=upload, part_number=number, body=data[at : at + size]
                )
            )
            done.append(oss.UploadPart(part_number=number, etag=part.etag))
        self._client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(
                **here,
                upload_id=upload,
                complete_multipart_upload=oss.CompleteMultipartUpload(parts=done),
            )
        )
