"""S3 clients as peers, path style, at the same sink: boto3, boto3 over awscrt, obstore, opendal.

They sign S3's V4, know no OSS CRC-64 and no append. With ``crc`` boto3 computes its default
checksum, CRC-32; obstore and opendal compute none. They never share code with ossmedia.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Boto", "BotoCrt", "Obstore", "Opendal"]


def _client(endpoint: str, ca: str, crc: bool) -> Any:
    import boto3
    from botocore.config import Config

    # Over TLS it would go in a trailer of a chunked body, which the sink does not read.
    sums = "when_supported" if crc and not ca else "when_required"
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=KEY_SECRET,
        aws_session_token=TOKEN,
        verify=ca or None,
        config=Config(
            s3={"addressing_style": "path", "payload_signing_enabled": False},
            request_checksum_calculation=sums,
            response_checksum_validation="when_required",
        ),
    )


class Boto:
    """boto3's S3 client."""

    def __init__(self, endpoint: str, ca: str, crc: bool) -> None:
        self._client = _client(endpoint, ca, crc)

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def file(self, key: str, path: str, size: int) -> None:
        with open(path, "rb") as body:
            self._client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def parts(self, key: str, path: str, size: int, count: int, parallel: int) -> None:
        from boto3.s3.transfer import TransferConfig

        how = TransferConfig(
            multipart_threshold=size,
            multipart_chunksize=size,
            max_concurrency=parallel,
            preferred_transfer_client="classic",
        )
        self._client.upload_file(path, BUCKET, key, Config=how)

    def close(self) -> None:
        self._client.close()


class BotoCrt:
    """boto3's transfers over awscrt. boto3 itself would ask for TLS whatever the endpoint is, so
    its transfer manager is made here, as boto3 makes it. It always sends a CRC-32, in a trailer."""

    def __init__(self, endpoint: str, ca: str, crc: bool) -> None:
        import botocore.session
        from botocore.credentials import Credentials
        from s3transfer import crt

        session = botocore.session.get_session()
        session.set_credentials(KEY_ID, KEY_SECRET, TOKEN)
        provider = crt.BotocoreCRTCredentialsWrapper(Credentials(KEY_ID, KEY_SECRET, TOKEN))
        client = crt.create_s3_crt_client(
            region=REGION,
            crt_credentials_provider=provider.to_crt_credentials_provider(),
            use_ssl=bool(ca),
            verify=ca or None,
            part_size=8 << 20,
        )
        how = {"region_name": REGION, "endpoint_url": endpoint}
        serializer = crt.BotocoreCRTRequestSerializer(session, how)
        self._manager = crt.CRTTransferManager(client, serializer)

    def put(self, key: str, data: bytes) -> None:
        self._manager.upload(io.BytesIO(data), BUCKET, key).result()

    def file(self, key: str, path: str, size: int) -> None:
        self._manager.upload(path, BUCKET, key).result()

    def parts(self, key: str, path: str, size: int, count: int, parallel: int) -> None:
        self.file(key, path, size)

    def close(self) -> None:
        self._manager.shutdown()


class Obstore:
    """obstore's S3Store, payload unsigned."""

    def __init__(self, endpoint: str, ca: str, crc: bool) -> None:
        import obstore
        from obstore.store import S3Store

        self._obstore = obstore
        self._store = S3Store(
            BUCKET,
            endpoint=endpoint,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=KEY_SECRET,
            session_token=TOKEN,
            virtual_hosted_style_request=False,
            unsigned_payload=True,
            client_options={"allow_http": True, "allow_invalid_certificates": bool(ca)},
        )

    def put(self, key: str, data: bytes) -> None:
        self._obstore.put(self._store, key, data, use_multipart=False)

    def camera(self, key: str, frames: Iterable[bytes], step: int) -> None:
        """Its writer: a multipart upload, parts of its default 10 MiB, since S3 takes none below
        5."""
        with self._obstore.open_writer(self._store, key, max_concurrency=1) as writer:
            for frame in frames:
                writer.write(frame)

    def file(self, key: str, path: str, size: int) -> None:
        with open(path, "rb") as body:
            self._obstore.put(self._store, key, body)

    def parts(self, key: str, path: str, size: int, count: int, parallel: int) -> None:
        with open(path, "rb") as body:
            self._obstore.put(
                self._store,
                key,
                body,
                use_multipart=True,
                chunk_size=size,
                max_concurrency=parallel,
            )

    def close(self) -> None:
        return


class Opendal:
    """opendal's S3 service."""

    def __init__(self, endpoint: str, ca: str, crc: bool) -> None:
        import opendal

        if ca:
            os.environ["SSL_CERT_FILE"] = ca
        self._operator = opendal.Operator(
            "s3",
            bucket=BUCKET,
            endpoint=endpoint,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=KEY_SECRET,
            session_token=TOKEN,
            disable_config_load="true",
            disable_ec2_metadata="true",
        )

    def put(self, key: str, data: bytes) -> None:
        self._operator.write(key, data)

    def camera(self, key: str, frames: Iterable[bytes], step: int) -> None:
        with self._operator.open(key, "wb", chunk=8 << 20) as writer:
            for frame in frames:
                writer.write(frame)

    def file(self, key: str, path: str, size: int) -> None:
        self._stream(key, path, {"chunk": 8 << 20})

    def parts(self, key: str, path: str, size: int, count: int, parallel: int) -> None:
        self._stream(key, path, {"chunk": size, "concurrent": parallel})

    def _stream(self, key: str, path: str, how: dict[str, int]) -> None:
        """It takes no path: the file goes through its writer."""
        with (
            open(path, "rb", buffering=0) as source,
            self._operator.open(key, "wb", **how) as writer,
        ):
            while piece := source.read(1 << 20):
                writer.write(piece)

    def close(self) -> None:
        return
