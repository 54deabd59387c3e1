"""What all operations share: the store, the clock, the identities, the limits.

What flows in: the parts, once at start. What flows out: the same parts under one name, and the
checks nearly every operation begins with. It is no operation itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from .addressing import Addressing
from .blobs import Spool
from .callback_key import CallbackKey
from .clock import Clock
from .errors import OssError
from .faults import Counters, Faults
from .identities import Identities
from .limits import Limits
from .records import Bucket, StoredObject
from .request import Request
from .state import Store

_log = logging.getLogger("ossmedia.emulator")


@dataclass(slots=True)
class Cloud:
    """The parts of one local cloud.

    Fields:
        region: without ``oss-``.
        endpoint: scheme, host and port, as reported in bucket answers.
        guesses: behaviours that no document describes and that were used; each is logged once.
    """

    store: Store
    identities: Identities
    region: str
    endpoint: str = ""
    clock: Clock = field(default_factory=Clock)
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    counters: Counters = field(default_factory=Counters)
    addressing: Addressing = field(default_factory=Addressing)
    guesses: set[str] = field(default_factory=set)
    callback_key: CallbackKey | None = None

    def bucket(self, request: Request) -> Bucket:
        """The bucket of a request.

        Raises:
            OssError: 404 NoSuchBucket.
        """
        return self.existing_bucket(request.target_bucket())

    def existing_bucket(self, name: str) -> Bucket:
        """The bucket *name*.

        Raises:
            OssError: 404 NoSuchBucket.
        """
        bucket = self.store.bucket(name)
        if bucket is None:
            raise OssError(
                404,
                "NoSuchBucket",
                "The specified bucket does not exist.",
                ec="0015-00000101",
                extra={"BucketName": name},
            )
        return bucket

    def object(self, request: Request) -> StoredObject:
        """The object of a request.

        Raises:
            OssError: 404 NoSuchBucket or NoSuchKey.
        """
        found = self.store.object(self.bucket(request).name, request.target_key())
        if found is None:
            raise no_such_key(request.target_key())
        return found

    def guess(self, text: str) -> None:
        """Log once that an answer rests on a guess about the service."""
        if text not in self.guesses:
            self.guesses.add(text)
            _log.warning(
                "the service's behaviour is not documented here, this is a guess: %s", text
            )

    async def receive(self, request: Request, limit: int, refusal: Callable[[], OssError]) -> Spool:
        """Take the whole body to disk; nothing stays when it breaks off.

        Raises:
            OssError: 411 MissingContentLength, *refusal* beyond *limit*.
            ClientGone: the client closed early.
        """
        if request.body.length is None and not request.chunked:
            raise OssError(
                411, "MissingContentLength", "You must provide the Content-Length HTTP header."
            )
        spool = Spool(self.store.blobs)
        try:
            async for piece in request.body.pieces(limit, refusal):
                spool.write(piece)
        except BaseException:
            spool.drop()
            raise
        return spool


def no_such_key(key: str) -> OssError:
    """404 NoSuchKey."""
    return OssError(
        404,
        "NoSuchKey",
        "The specified key does not exist.",
        ec="0026-00000001",
        extra={"Key": key},
    )
