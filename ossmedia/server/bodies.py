"""The body of a request, whole or refused.

In flow the pieces of a body, out flow its bytes, bounded in size and time. A refused body that is
only somewhat too large is read to its end, so that its sender sees why; nothing else is waited for.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from ossmedia.server.problems import Problem

__all__ = ["BODY_SIZE", "read_body"]

BODY_SIZE = 64 << 10
_DRAIN_SIZE = 1 << 20  # a refused body up to this length is read, so that its sender sees why


async def read_body(request: Request, timeout_s: float) -> bytes:
    """The whole body, at most ``BODY_SIZE`` bytes.

    Raises:
        Problem: body-too-large, request-timeout, bad-request.
    """
    size, pieces = 0, []
    announced = request.headers.get("content-length", "0")
    long = len(announced) > 9 or int(announced) > _DRAIN_SIZE
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in request.stream():
                size += len(piece)
                if long or size > _DRAIN_SIZE:
                    break
                if size <= BODY_SIZE:
                    pieces.append(piece)
    except TimeoutError:
        raise Problem("request-timeout", close=True) from None
    except ClientDisconnect:
        raise Problem("bad-request", "the body ended early") from None
    if size > BODY_SIZE or long:
        text = f"body: at most {BODY_SIZE} bytes"
        raise Problem("body-too-large", text, close=long or size > _DRAIN_SIZE)
    return b"".join(pieces)
