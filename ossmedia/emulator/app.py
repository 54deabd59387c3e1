"""The application: one request in, one answer out, with the fault that was ordered for it.

What flows in: ASGI scopes of the wire below. What flows out: answers of OSS, of the RPC services (STS, VOD) and of the control API, which share
one port. The order is fixed: name the operation, let faults act, check the signature, then permission, then existence, and only then read
the body. It keeps no state of its own but the nonces of RPC calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp

from . import (
    append,
    buckets,
    copying,
    listing,
    mishaps,
    multipart,
    objects,
    operations,
    post,
    properties,
    sts,
)
from .access import authenticate, authorize
from .answer import Answer, refusal
from .attributes import check_bucket_name
from .cloud import Cloud
from .errors import OssError
from .mishaps import Dropped
from .request import ClientGone, Receive, Request, Scope
from .rpc import Nonces
from .wire import Send, protocol_of, send_answer, settle_body

Handler = Callable[[Cloud, Request], Awaitable[Answer]]

_log = logging.getLogger("ossmedia.emulator")

_HANDLERS: dict[str, Handler] = {
    "PutObject": objects.put_object,
    "GetObject": objects.get_object,
    "HeadObject": objects.head_object,
    "GetObjectMeta": objects.get_object_meta,
    "DeleteObject": objects.delete_object,
    "AppendObject": append.append_object,
    "SealAppendObject": append.seal_append_object,
    "CopyObject": copying.copy_object,
    "UploadPartCopy": copying.upload_part_copy,
    "InitiateMultipartUpload": multipart.initiate,
    "UploadPart": multipart.upload_part,
    "CompleteMultipartUpload": multipart.complete,
    "AbortMultipartUpload": multipart.abort,
    "ListParts": listing.list_parts,
    "ListMultipartUploads": listing.list_multipart_uploads,
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "GetObjectAcl": properties.get_object_acl,
    "PutObjectAcl": properties.put_object_acl,
    "GetObjectTagging": properties.get_object_tagging,
    "PutObjectTagging": properties.put_object_tagging,
    "DeleteObjectTagging": properties.delete_object_tagging,
    "GetSymlink": properties.get_symlink,
    "PutSymlink": properties.put_symlink,
    "RestoreObject": properties.restore_object,
    "PostObject": post.post_object,
    "PutBucket": buckets.put_bucket,
    "DeleteBucket": buckets.delete_bucket,
    "HeadBucket": buckets.head_bucket,
    "GetBucketInfo": buckets.get_bucket_info,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketStat": buckets.get_bucket_stat,
    "GetBucketVersioning": buckets.get_bucket_versioning,
    "GetBucketAcl": buckets.get_bucket_acl,
    "PutBucketAcl": buckets.put_bucket_acl,
    "GetBucketLifecycle": buckets.get_bucket_lifecycle,
    "PutBucketLifecycle": buckets.put_bucket_lifecycle,
    "DeleteBucketLifecycle": buckets.delete_bucket_lifecycle,
    "ListBuckets": buckets.list_buckets,
    "DeleteMultipleObjects": buckets.delete_multiple_objects,
}


class App:
    """The ASGI application of one cloud.

    Args:
        control: the control API, asked for targets below ``/-/``.
        save_identities: called after an RPC call, which may have issued a session.
    """

    def __init__(
        self, cloud: Cloud, control: ASGIApp, save_identities: Callable[[], None]
    ) -> None:
        self._cloud = cloud
        self._control = control
        self._save_identities = save_identities
        self._nonces = Nonces()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        target: bytes = scope["ossmedia.target"]
        if target.startswith(b"/-/"):
            path, _, query = target.partition(b"?")
            scope["path"] = path.decode("latin-1")
            scope["raw_path"], scope["query_string"] = path, query
            await self._control(scope, receive, send)
            return
        try:
            await self._exchange(scope, receive, send)
        except (ClientGone, asyncio.CancelledError):
            protocol_of(scope).drop()

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        cloud = self._cloud
        try:
            request = Request(scope, receive, cloud.addressing, cloud.limits.body_timeout_s)
        except OssError as error:
            request = Request.unreadable(scope, receive, cloud.limits.body_timeout_s)
            await self._send(request, send, refusal(request, request.id, error))
            return
        try:
            rule = self._named(request)
            answer = await mishaps.around(cloud, rule, request, lambda: self._answer(request))
        except Dropped as dropped:
            protocol_of(scope).drop(reset=dropped.reset)
            return
        finally:
            cloud.counters.bytes_received += request.body.received
        segments = answer.segments or ()
        cloud.store.blobs.pin(segments)
        try:
            await self._send(request, send, answer)
            if rule is not None:
                await mishaps.afterwards(rule, request, send, answer, cloud)
        finally:
            cloud.store.blobs.unpin(segments)

    async def _send(self, request: Request, send: Send, answer: Answer) -> None:
        raise NotImplementedError
