"""The refusals of the local cloud.

What flows in: a status, a code and a message chosen by whoever refuses. What flows out: an
exception that the web layer turns into the error body of OSS (XML) or of the RPC services (JSON or
XML). It never holds a secret and never formats a response itself.
"""

from __future__ import annotations

from collections.abc import Mapping


class OssError(Exception):
    """A refusal of OSS.

    Args:
        status: HTTP status, 203 to 599.
        code: the documented error code, such as ``NoSuchKey``.
        message: one sentence for people.
        ec: the "extended code" (``0026-00000001``) or empty when none is documented.
        extra: further elements of the error body, in order (``Key``, ``StringToSign`` ...).
        headers: further headers of the answer (``x-oss-next-append-position`` ...).
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        ec: str = "",
        extra: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.ec = ec
        self.extra: dict[str, str] = dict(extra or {})
        self.headers: dict[str, str] = dict(headers or {})


class RpcError(Exception):
    """A refusal of an RPC service (STS, VOD): status, code (``EntityNotExist.Role``), message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
