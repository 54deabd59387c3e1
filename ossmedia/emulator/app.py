"""The application: one request in, one answer out, with the fault that was ordered for it.

What flows in: ASGI scopes of the wire below. What flows out: answers of OSS, of the RPC services
(STS, VOD) and of the control API, which share one port. The order is fixed: name the operation, let
faults act, check the signature, then permission, then existence, and only then read the body. It
keeps no state of its own but the nonces of RPC calls.
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
    cors,
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
from .faults import Rule
from .mishaps import Dropped
from .request import ClientGone, Receive, Request, Scope
from .rpc import Nonces
from .vod import Vod
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
    "GetBucketCors": cors.get_bucket_cors,
    "PutBucketCors": cors.put_bucket_cors,
    "DeleteBucketCors": cors.delete_bucket_cors,
    "OptionObject": cors.option_object,
    "ListBuckets": buckets.list_buckets,
    "DeleteMultipleObjects": buckets.delete_multiple_objects,
}


class App:
    """The ASGI application of one cloud.

    Args:
        control: the control API, asked for targets below ``/-/``.
        save_identities: called after an RPC call, which may have issued a session.
        vod: answers the RPC calls that are not STS's.
    """

    def __init__(
        self, cloud: Cloud, control: ASGIApp, save_identities: Callable[[], None], vod: Vod
    ) -> None:
        self._cloud = cloud
        self._control = control
        self._save_identities = save_identities
        self._vod = vod
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
        except Dropped as dropped:
            protocol_of(scope).drop(reset=dropped.reset)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        cloud = self._cloud
        request = Request(scope, receive, cloud.addressing, cloud.limits.body_timeout_s)
        rule = self._name(request)
        try:
            answer = await self._answer_with(rule, request)
        finally:
            cloud.counters.bytes_received += request.body.received
        segments = answer.segments or ()
        cloud.store.blobs.pin(segments)
        try:
            if rule is not None:
                await mishaps.after(rule, cloud, answer)
                send = mishaps.faulty_send(rule, send, protocol_of(scope))
            await self._send(request, send, answer)
        finally:
            cloud.store.blobs.unpin(segments)

    def _name(self, request: Request) -> Rule | None:
        """Find the operation's name, count it, and see whether a fault waits for it."""
        if request.problem is None:
            try:
                request.operation = _operation(request)
            except OssError as error:
                request.problem = error
        if protocol_of(request.scope).requests == 1:
            self._cloud.counters.connections += 1
        self._cloud.counters.requests[request.operation or "Unknown"] += 1
        return self._cloud.faults.fire(request.operation, request.method, request.key)

    async def _answer_with(self, rule: Rule | None, request: Request) -> Answer:
        try:
            made = await mishaps.before(rule, self._cloud, request) if rule is not None else None
            return made if made is not None else await self._answer(request)
        except OssError as error:
            answer = refusal(request, request.id, error)
            answer.close = rule is not None and (rule.action == "early" or rule.body_bytes >= 0)
            return answer
        except (ClientGone, Dropped):
            raise
        except Exception:
            _log.exception("%s failed inside the local cloud", request.operation)
            message = "We encountered an internal error. Please try again."
            return refusal(request, request.id, OssError(500, "InternalError", message))

    async def _answer(self, request: Request) -> Answer:
        cloud = self._cloud
        if request.problem is not None:
            raise request.problem
        if request.operation == "Rpc":
            return await self._rpc(request)
        if request.bucket is not None:
            check_bucket_name(request.bucket)
            if request.method in ("GET", "HEAD"):
                # The service looks for the bucket before it looks at the signature of a read.
                cloud.existing_bucket(request.bucket)
        if request.operation not in ("PostObject", "OptionObject"):
            authenticate(cloud, request)
            authorize(cloud, request)
        if request.query.get("versionId", "null") != "null":
            cloud.guess("a versionId in a bucket without versions is 404 NoSuchVersion")
            raise OssError(404, "NoSuchVersion", "The specified version does not exist.")
        return await _HANDLERS[request.operation](cloud, request)

    async def _rpc(self, request: Request) -> Answer:
        """STS and VOD."""
        cloud, largest = self._cloud, self._cloud.limits.max_document_bytes
        too_long = OssError(400, "InvalidParameter", f"The form may hold {largest} bytes.")
        body = await request.body.read(largest, lambda: too_long)
        status, content_type, content = sts.handle_rpc(
            *(request.method, request.raw_query, request.headers, body),
            identities=cloud.identities,
            now=cloud.clock.now(),
            nonces=self._nonces,
            source_ip=request.client_ip,
            secure=request.secure,
            others=self._vod.operations,
        )
        self._save_identities()
        return Answer(status, [("Content-Type", content_type)], content)

    async def _send(self, request: Request, send: Send, answer: Answer) -> None:
        cloud = self._cloud
        await settle_body(request, answer)
        spent_ms = (asyncio.get_running_loop().time() - request.started) * 1000
        common = [
            ("Server", "AliyunOSS"),
            ("Date", answer.get("Date") or cloud.clock.http_date()),
            ("x-oss-request-id", request.id),
            ("x-oss-server-time", str(int(spent_ms))),
        ]
        answer.drop("Date")
        answer.headers[:0] = common
        answer.headers.extend(cors.cross_origin_headers(cloud, request))
        cloud.counters.statuses[str(answer.status)] += 1
        cloud.counters.bytes_sent += answer.length if answer.segments else len(answer.body)
        await send_answer(send, request, answer, cloud.store.blobs)


def _operation(request: Request) -> str:
    if request.bucket is None and (
        request.method == "POST" or "Action" in request.query or "x-acs-action" in request.header
    ):
        return "Rpc"
    return operations.name_of(
        request.method, request.bucket, request.key, request.query, request.header
    )
