"""A camera's side of uploads into VOD: it asks its application server for tickets.

In flow what a file is called, out flow ``UploadTicket`` values for ``ossmedia.vod.upload``, or the
token of the STS way. The camera holds nothing but its device key; what VOD wrote is passed on to it
undecoded and checked here. Tickets reach no log.
"""

from __future__ import annotations

import os

from ossmedia import vod_fields as check
from ossmedia.clock import Clock
from ossmedia.device_link import DeviceLink
from ossmedia.errors import OssMediaError, ProtocolError
from ossmedia.model import Credentials
from ossmedia.retry import Retry, final
from ossmedia.ticket import ALLOWED_HOSTS, UploadTicket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["AppServerTickets"]

KINDS = ("video", "image", "attached")


class AppServerTickets(DeviceLink):
    """Tickets from an application server.

    Args:
        url, device_id, device_key, options: see ``DeviceLink``.
        allowed_hosts: where tickets may lead, see ``UploadTicket``.
        retry: how often ``create`` is tried when no answer comes; None: the usual number.

    Raises:
        TypeError, ValueError: naming the argument and its limit, never the key.
    """

    __slots__ = ("_allowed_hosts", "_retry")

    def __init__(
        self,
        url: str,
        device_id: str,
        device_key: str | bytes | os.PathLike[str] | None = None,
        *,
        allowed_hosts: Iterable[str] = ALLOWED_HOSTS,
        retry: Retry | None = None,
        **options: Any,
    ) -> None:
        super().__init__(url, device_id, device_key, **options)
        self._allowed_hosts = tuple(allowed_hosts)
        self._retry = Retry() if retry is None else retry

    def create(
        self,
        title: str,
        file_name: str,
        size: int | None = None,
        *,
        kind: str = "video",
        client_token: str = "",
        **more: Any,
    ) -> UploadTicket:
        """A new medium and the ticket for its file. However often a video's request has to be
        repeated, there is one medium in the end.

        Args:
            title: at most 128 characters.
            file_name: only its ending counts, which must be one that VOD takes for the kind.
            size: bytes, if it is known.
            kind: "video" (or audio), "image" or "attached"; only the first can be refreshed.
            client_token: a name for this file that a later process would give, too, 6-64 letters,
                digits, "-" and "_"; "": one that is made up. Videos only.
            more: description, tags (a list), category (a number), start (seconds since 1970) of
                the recording; cover_url for a video; image_type, business_type for the others.

        Raises:
            TypeError, ValueError: naming the field and its limit; nobody was asked.
            OssMediaError: as ``DeviceLink.ask``; for an image or attached medium also after a lost
                answer, when the medium may exist.
        """
        check.one_of("kind", kind, KINDS)
        if not check.text("title", title, check.LONGEST_TITLE):
            raise ValueError("title: must not be empty")
        if kind == "video":
            check.check_file_name(file_name)
            client_token = client_token or os.urandom(16).hex()
            more["client_token"] = check.plain("client_token", client_token, 6, 64)
        elif client_token:
            raise ValueError("client_token: only for videos")
        check.count("size", size, check.LARGEST_FILE)
        wish = {"kind": kind, "title": title, "file_name": file_name, "size": size, **more}
        return self._ticket(self._insist(wish) if kind == "video" else self._uploads(wish))

    def _uploads(self, wish: dict[str, Any]) -> dict[str, Any]:
        return self.ask("/v1/vod/uploads", {k: v for k, v in wish.items() if v is not None})

    def _insist(self, wish: dict[str, Any]) -> dict[str, Any]:
        from ossmedia.clock import chance

        attempt = 0
        while True:
            try:
                return self._uploads(wish)
            except OssMediaError as error:
                attempt += 1
                if attempt >= self._retry.attempts or final(error, attempt):
                    raise
                delay = self._retry.delay(attempt, error, chance)
            self._clock.sleep(delay)

    def refresh(self, ticket: UploadTicket | str) -> UploadTicket:
        """The next ticket for the same file, by its ticket or media id: give it to
        ``ossmedia.vod.upload`` as ``refresh``, which repeats it as needed.

        Raises:
            OssMediaError: as ``DeviceLink.ask``; NotFound: not this device's medium.
        """
        media_id = ticket if isinstance(ticket, str) else ticket.media_id
        path = f"/v1/vod/uploads/{check.plain('media_id', media_id)}/refresh"
        return self._ticket(self.ask(path, {}))

    def token(self, ttl_s: int | None = None) -> Credentials:
        """The STS way: a token with which a client asks VOD by itself for addresses and
        credentials. It is not bound to one file: prefer ``create``.

        Args:
            ttl_s: seconds, 900 up to what the device's record says; None: that.

        Raises:
            OssMediaError: as ``DeviceLink.ask``; NotFound: the server does not offer it.
        """
        data = self.ask("/v1/vod/credentials", {} if ttl_s is None else {"ttl_s": ttl_s})
        try:
            return Credentials.from_json(data)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"the application server's answer: {error}") from None

    def _ticket(self, data: dict[str, Any]) -> UploadTicket:
        clock = _Ahead(self._clock, self.seconds_ahead or 0.0)
        try:
            return UploadTicket.from_json(data, allowed_hosts=self._allowed_hosts, clock=clock)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"the application server's answer: {error}") from None


class _Ahead(Clock):
    """A clock that is corrected by what the server's signed answer said."""

    __slots__ = ("_clock", "_seconds")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def now(self) -> float:
        return self._clock.now() + self._seconds
