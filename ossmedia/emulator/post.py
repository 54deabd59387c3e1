"""PostObject: a browser's form becomes an object.

What flows in: form fields and, after them, one file. What flows out: the object, and an answer of
the kind the form asked for. Headers and URL are never looked at for a signature, and nothing of the
file is kept when the form's policy does not allow it.
"""

from __future__ import annotations

from . import callbacks
from .access import demand
from .answer import Answer, xml_answer
from .attributes import check_key, check_traffic_limit, read_attributes
from .blobs import Spool
from .cloud import Cloud
from .errors import OssError
from .forms import FormReader, PartHead, boundary_of
from .objects import file_exists, store_body
from .records import StoredObject
from .request import Request, invalid
from .signatures import check_post_policy, verify_post_form
from .xml import url_text

MAX_NAME = 8 * 1024
MAX_VALUE = 2 * 1024 * 1024
MAX_FIELDS = 8 * 1024 * 1024


def _too_large(limit: int) -> OssError:
    message = "Your proposed upload exceeds the maximum allowed size."
    return OssError(400, "EntityTooLarge", message, extra={"MaxSizeAllowed": str(limit)})


def _wrong_files() -> OssError:
    message = "POST requires exactly one file upload per request."
    return OssError(400, "IncorrectNumberOfFilesInPOSTRequest", message)


async def post_object(cloud: Cloud, request: Request) -> Answer:
    """PostObject."""
    bucket = cloud.bucket(request).name
    boundary = boundary_of(request.header.get("content-type", ""))
    limit = cloud.limits.max_object_size + MAX_FIELDS
    pieces = request.body.pieces(limit, lambda: _too_large(cloud.limits.max_object_size))
    form = FormReader(pieces, boundary)
    fields, file = await _read_fields(form)
    request.caller, policy = verify_post_form(
        fields,
        bucket=bucket,
        identities=cloud.identities,
        now=cloud.clock.now(),
        region=cloud.region,
    )
    key = _key_of(fields, file)
    check_key(key, cloud.limits)
    demand(cloud, request, [("oss:PutObject", bucket, key)])
    check_traffic_limit(fields.get("x-oss-traffic-limit"))
    attributes = read_attributes(_described(fields, file), cloud.limits)
    callback = _callback(fields)
    _refuse_overwrite(cloud, fields, bucket, key)
    spool = await _receive_file(cloud, form)
    try:
        if policy is not None:
            check_post_policy(policy, fields, bucket=bucket, size=spool.size, now=cloud.clock.now())
        cloud.existing_bucket(bucket)
        _refuse_overwrite(cloud, fields, bucket, key)
    except OssError:
        spool.drop()
        raise
    stored = store_body(cloud, bucket, key, spool, attributes)
    answer = _answer(request, fields, stored)
    if callback is not None:
        return await callbacks.perform(cloud, request, callback, stored, answer)
    return answer


async def _read_fields(form: FormReader) -> tuple[dict[str, str], PartHead]:
    fields: dict[str, str] = {}
    total = 0
    while (head := await form.next_part()) is not None:
        if head.name.lower() == "file":
            return fields, head
        value = bytearray()
        async for piece in form.data():
            value += piece
            if len(value) > MAX_VALUE or len(head.name) > MAX_NAME:
                message = f"Your form field is too long: {head.name[:64]}."
                raise OssError(400, "FieldItemTooLong", message)
        total += len(value)
        if total > MAX_FIELDS:
            message = "Your POST request fields preceding the upload file were too large."
            raise OssError(400, "MaxPOSTPreDataLengthExceededError", message)
        fields.setdefault(head.name.lower(), value.decode("utf-8", "surrogateescape"))
    raise _wrong_files()


def _described(fields: dict[str, str], file: PartHead) -> dict[str, str]:
    """The fields that become attributes; tags are not possible here."""
    kind = fields.get("x-oss-content-type") or fields.get("content-type") or file.content_type
    described = {**fields, "content-type": kind}
    described.pop("x-oss-tagging", None)
    return described


def _key_of(fields: dict[str, str], file: PartHead) -> str:
    if "key" not in fields:
        message = "Bucket POST must contain a field named 'key'."
        raise OssError(400, "InvalidArgument", message, extra={"ArgumentName": "key"})
    key = fields["key"].replace("${filename}", file.filename or "")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise OssError(400, "InvalidObjectName", "The object name must be UTF-8.") from None
    return key


def _callback(fields: dict[str, str]) -> callbacks.Callback | None:
    if "callback" not in fields:
        return None
    variables = {name[2:]: value for name, value in fields.items() if name.startswith("x:")}
    return callbacks.parse(fields["callback"], variables)


def _refuse_overwrite(cloud: Cloud, fields: dict[str, str], bucket: str, key: str) -> None:
    forbid = fields.get("x-oss-forbid-overwrite", "false").lower()
    if forbid not in ("true", "false"):
        raise invalid("x-oss-forbid-overwrite", forbid, "must be true or false")
    if forbid == "true" and cloud.store.object(bucket, key) is not None:
        raise file_exists(key)


async def _receive_file(cloud: Cloud, form: FormReader) -> Spool:
    """The file on disk, after the whole form was read: fields behind it are ignored."""
    spool = Spool(cloud.store.blobs)
    try:
        async for piece in form.data():
            spool.write(piece)
            if spool.size > cloud.limits.max_object_size:
                raise _too_large(cloud.limits.max_object_size)
        while (head := await form.next_part()) is not None:
            if head.name.lower() == "file":
                raise _wrong_files()
            async for _ in form.data():
                pass
    except BaseException:
        spool.drop()
        raise
    return spool


def _answer(request: Request, fields: dict[str, str], stored: StoredObject) -> Answer:
    location = f"http://{request.host}/{url_text(stored.key)}"
    headers = [("ETag", f'"{stored.etag}"'), ("x-oss-hash-crc64ecma", str(stored.crc))]
    redirect = fields.get("success_action_redirect", "")
    if redirect.startswith(("http://", "https://")) and "\n" not in redirect:
        return Answer(303, [*headers, ("Location", redirect)])
    status = fields.get("success_action_status", "204")
    if status == "201":
        nodes = [
            ("Bucket", stored.bucket),
            ("Location", location),
            ("Key", stored.key),
            ("ETag", f'"{stored.etag}"'),
        ]
        answer = xml_answer("PostResponse", nodes, headers)
        answer.status = 201
        return answer
    return Answer(200 if status == "200" else 204, [*headers, ("Location", location)])
