"""VOD's bucket, and what it hands out for it: upload addresses, upload credentials, play URLs.

What flows in: a medium. What flows out: UploadAddress and UploadAuth, base64 of JSON, whose
credentials do nothing but upload that medium's one object; and URLs to read it. The bucket is made
on first use, no list of the user's shows it, and no key of the user's opens it.

Source: ApsaraVideo VOD, "Upload URLs and credentials"; OSS, "Signature version 1 in a URL".
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from urllib.parse import quote

from .canonical import iso_seconds
from .cloud import Cloud
from .identities import AccessKey
from .policies import resource_name
from .records import Bucket
from .signatures_v1 import sign
from .vod_media import Medium

UPLOAD_ACTIONS = ["oss:PutObject", "oss:AbortMultipartUpload", "oss:ListParts"]


def bucket_name(cloud: Cloud) -> str:
    """The bucket VOD keeps the account's media in, the same for ever."""
    text = f"{cloud.identities.account_id}/{cloud.region}"
    return "outin-" + hashlib.sha256(text.encode()).hexdigest()[:32]


def storage_location(cloud: Cloud) -> str:
    """The bucket as ``StorageLocation`` names it."""
    return f"{bucket_name(cloud)}.oss-{cloud.region}.aliyuncs.com"


def make_bucket(cloud: Cloud) -> None:
    """Make VOD's bucket, if it was not used before. Inside a transaction."""
    name = bucket_name(cloud)
    if cloud.store.bucket(name) is None:
        cloud.store.put_bucket(Bucket(name, cloud.clock.now()))


def new_key(folder: str, ext: str) -> str:
    """A key that nobody can foresee: ``sv/5a2f...-17.../5a2f...-17....mp4``."""
    name = f"{secrets.token_hex(4)}-{secrets.token_hex(6)}"
    return f"{folder}/{name}/{name}.{ext}" if folder == "sv" else f"{folder}/{name}.{ext}"


def file_url(cloud: Cloud, medium: Medium) -> str:
    """The address of a medium's object, without a signature."""
    return f"{cloud.endpoint}/{bucket_name(cloud)}/{quote(medium.key)}"


def ticket(cloud: Cloud, medium: Medium, life_s: int) -> dict[str, str]:
    """UploadAddress and UploadAuth for one medium; the credentials are new each time.

    Args:
        life_s: whole seconds that the credentials live at least.
    """
    bucket, now = bucket_name(cloud), cloud.clock.now()
    account = cloud.identities.account_id
    statement = {
        "Effect": "Allow",
        "Action": UPLOAD_ACTIONS,
        "Resource": resource_name("*", account, bucket, medium.key),
    }
    policy = {"Version": "1", "Statement": [statement]}
    session = cloud.identities.issue_service_session(medium.id, policy, life_s=life_s, now=now)
    address = {"Endpoint": cloud.endpoint, "Bucket": bucket, "FileName": medium.key}
    auth = {
        "SecurityToken": session.token,
        "AccessKeyId": session.access_key_id,
        "ExpireUTCTime": iso_seconds(session.expires_at),
        "AccessKeySecret": session.secret,
        "Expiration": str(life_s),
        "Region": cloud.region,
    }
    return {"UploadAddress": _encoded(address), "UploadAuth": _encoded(auth)}


def _encoded(values: dict[str, str]) -> str:
    return base64.b64encode(json.dumps(values, separators=(",", ":")).encode()).decode("ascii")


def play_url(cloud: Cloud, medium: Medium, life_s: int) -> str:
    """A URL that reads a medium's object for *life_s* seconds, signed with a key of VOD's own."""
    key = _play_key(cloud)
    expires = str(int(cloud.clock.now()) + life_s)
    text = f"GET\n\n\n{expires}\n/{bucket_name(cloud)}/{medium.key}"
    signature = quote(sign(key.secret, text.encode()), safe="")
    query = f"Expires={expires}&OSSAccessKeyId={key.id}&Signature={signature}"
    return f"{file_url(cloud, medium)}?{query}"


def _play_key(cloud: Cloud) -> AccessKey:
    """VOD's key for reading; made on first use and kept with the account's identities."""
    identities, bucket = cloud.identities, bucket_name(cloud)
    key_id = "LTAIvod" + bucket.removeprefix("outin-")[:13]
    known = identities.find_key(key_id)
    if known is not None:
        return known
    statement = {
        "Effect": "Allow",
        "Action": "oss:GetObject",
        "Resource": resource_name("*", identities.account_id, bucket, "*"),
    }
    policy = {"Version": "1", "Statement": [statement]}
    return identities.add_access_key(
        key_id, secrets.token_hex(15), kind="service", policies=(policy,)
    )
