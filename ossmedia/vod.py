"""Uploads into ApsaraVideo VOD by ticket: one file, or a queue of them.

In flow files and the tickets that the app server passes on, out flow receipts and the words VOD
users know: started, progress, token expired, succeeded, failed, canceled. It never asks VOD itself
(the device holds no key for that) and never sees a secret longer than a ticket lives.
"""

from __future__ import annotations

import threading

from ossmedia.clock import SYSTEM
from ossmedia.gate import Canceled, Gate
from ossmedia.resumable import unfinished
from ossmedia.ticket import UploadTicket
from ossmedia.vod_transfer import Tickets, check_source, transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from ossmedia.model import Receipt
    from ossmedia.vod_transfer import Progress, Refresh, Source

__all__ = ["UploadTicket", "VodUpload", "VodUploader", "unfinished", "upload"]

_ADDRESS = ("endpoint", "region", "credentials", "path_style", "cname", "internal", "accelerate")


def upload(
    path_or_file: Source,
    ticket: UploadTicket,
    *,
    refresh: Refresh | None = None,
    progress: Progress | None = None,
    content_type: str = "",
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Receipt:
    """Stores a media file in VOD, at the place its ticket names and nowhere else.

    Before the ticket ends (at 75 % of its life), and when OSS refuses it, ``refresh`` is asked for
    the next one; the upload goes on with the same parts. A refresh that raises or blocks makes the
    upload wait; one that brings no ticket, or another file's, ends it.

    Args:
        path_or_file: a path, or a binary file that is read from where it stands to its end. A file
            given by its path must not change meanwhile.
        ticket: see ``UploadTicket.from_json``.
        refresh: called with the media id, returns a new ticket for it; None: the ticket must last.
        progress: called with bytes stored and bytes in all (None when the file cannot tell).
        content_type: of the object.
        checkpoint: where to remember the upload of a path, so that it goes on after the process was
            killed: then ask ``unfinished`` for its media id, refresh that one's ticket, and call
            this again. What was stored is compared with the file, not sent again. A failed upload
            with a checkpoint leaves its parts in OSS for the next try; without one they are
            dropped.
        options: of ``Bucket``: ca_file, proxy, timeouts, retry, clock, block_size, blocks,
            parallel, signature.

    Returns:
        What OSS confirmed. ``etag`` is "" in the one case that OSS completed the object and its
        answer was lost: a ticket may not read it to find out more. It is complete then because the
        medium had no file before; where a file is replaced this cannot be known, and the upload
        fails, naming the right that is missing.

    Raises:
        TypeError, ValueError: naming the field, before any connection; also a ticket that has ended
            without a ``refresh``.
        StreamBroken: given up; ``__cause__`` says why, e.g. CredentialsError of a refresh.
        OSError: the file cannot be read, or changed.
    """
    check_source(path_or_file)
    _check_options(options)
    if checkpoint is not None and hasattr(path_or_file, "read"):
        raise ValueError("checkpoint: only for a file that is given by its path")
    tickets = Tickets(ticket, refresh, options.get("clock", SYSTEM))
    return transfer(
        path_or_file,
        tickets,
        ticket,
        Gate(),
        progress=progress,
        content_type=content_type,
        checkpoint=checkpoint,
        **options,
    )


def _check_options(options: dict[str, Any]) -> None:
    for name in _ADDRESS:
        if name in options:
            raise TypeError(f"{name}: the ticket says it")
    if "spool" in options:
        raise TypeError("spool: not for VOD, whose tickets end; a checkpoint resumes a file")


class VodUpload:
    """One file of a queue.

    Fields: ``source``; ``info``: whatever the caller gave along; ``checkpoint``: its path or None;
    ``state``: "waiting", "uploading", "succeeded", "failed" or "canceled"; ``media_id``: "" before
    it has a ticket, but for an upload that its checkpoint remembers; ``receipt`` once
    it succeeded; ``error`` once it failed; ``refreshes``: tickets after the first.
    """

    __slots__ = (
        *("source", "info", "content_type", "checkpoint", "state", "media_id", "receipt"),
        *("error", "refreshes"),
    )

    def __init__(
        self,
        source: Source,
        info: object,
        content_type: str,
        checkpoint: str | os.PathLike[str] | None,
    ) -> None:
        self.source = source
        self.info = info
        self.content_type = content_type
        self.checkpoint = checkpoint
        self.state = "waiting"
        self.media_id = ""
        self.receipt: Receipt | None = None
        self.error: Exception | None = None
        self.refreshes = 0

    def __repr__(self) -> str:
        return f"<VodUpload {self.source!r} {self.media_id!r} {self.state}>"


class VodUploader:
    """A queue of files, uploaded one after the other by a thread of its own.

    Each file is bound to a ticket of its own: ``on_upload_started`` supplies it when the file's
    turn comes, ``on_upload_token_expired`` the next one, with which the same bytes go on. Callbacks
    run in the uploader's threads; what one raises fails its file (started), lets it wait and ask
    again (token expired), or is logged and forgotten (the others).

    Args:
        on_upload_started: called with the file's ``VodUpload``, returns its ``UploadTicket``: a
            refreshed one for ``media_id`` if that is set (the upload goes on), else a new one.
        on_upload_token_expired: alike; None: a ticket must last for its file.
        on_upload_progress: called with the ``VodUpload``, bytes stored, bytes in all or None.
        on_upload_succeeded: called with the ``VodUpload`` and the receipt.
        on_upload_failed: called with the ``VodUpload`` and the exception.
        on_upload_canceled: called with the ``VodUpload``.
        options: of ``Bucket``, as for ``upload``.

    Raises:
        TypeError: naming the field.
    """

    def __init__(
        self,
        *,
        on_upload_started: Callable[[VodUpload], UploadTicket],
        on_upload_token_expired: Callable[[VodUpload], UploadTicket] | None = None,
        on_upload_progress: Callable[[VodUpload, int, int | None], object] | None = None,
        on_upload_succeeded: Callable[[VodUpload, Receipt], object] | None = None,
        on_upload_failed: Callable[[VodUpload, Exception], object] | None = None,
        on_upload_canceled: Callable[[VodUpload], object] | None = None,
        **options: Any,
    ) -> None:
        self._callbacks: dict[str, Callable[..., Any] | None] = {
            "on_upload_started": on_upload_started,
            "on_upload_token_expired": on_upload_token_expired,
            "on_upload_progress": on_upload_progress,
            "on_upload_succeeded": on_upload_succeeded,
            "on_upload_failed": on_upload_failed,
            "on_upload_canceled": on_upload_canceled,
        }
        for name, callback in self._callbacks.items():
            if not callable(callback) and (callback is not None or name == "on_upload_started"):
                raise TypeError(f"{name}: must be a callable, not {type(callback).__name__}")
        _check_options(options)
        self._options = options
        self._changed = threading.Condition()
        self._waiting: list[VodUpload] = []
        self._current: VodUpload | None = None
        self._gate = Gate()  # of the current one
        self._thread: threading.Thread | None = None
        self._started = self._paused = self._closed = False
        self._bound: set[str] = set()  # media ids: no two files share a ticket

    # -- the caller's side

    def add_file(
        self,
        path_or_file: Source,
        *,
        info: object = None,
        content_type: str = "",
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> VodUpload:
        """Puts a file at the end of the queue.

        Args:
            info: the caller's own, e.g. a title; kept in ``VodUpload.info``.
            checkpoint: see ``upload``; each file needs one of its own.

        Raises:
            TypeError: neither a path nor a binary file. ValueError: the uploader is closed, or a
                checkpoint is given for an open file.
        """
        check_source(path_or_file)
        if checkpoint is not None and hasattr(path_or_file, "read"):
            raise ValueError("checkpoint: only for a file that is given by its path")
        item = VodUpload(path_or_file, info, content_type, checkpoint)
        with self._changed:
            if self._closed:
                raise ValueError("the uploader is closed")
            self._waiting.append(item)
            self._changed.notify_all()
        return item

    def start(self) -> None:
        """Begins; returns at once. Doing it twice does nothing."""
        with self._changed:
            if self._closed:
                raise ValueError("the uploader is closed")
            self._started = True
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="ossmedia vod uploader", daemon=True
                )
                self._thread.start()

    def pause(self) -> None:
        """Lets the parts under way end and sends no more. Returns at once."""
        with self._changed:
            self._paused = True
            self._gate.close()

    def resume(self) -> None:
        """Goes on after ``pause``; a ticket that ended meanwhile is refreshed first."""
        with self._changed:
            self._paused = False
            self._gate.open()
            self._changed.notify_all()

    def cancel(self, item: VodUpload | None = None) -> None:
        """Cancels one file, or all; the others go on. Returns at once: ``on_upload_canceled`` tells
        when nothing of the file is left. What has ended is left alone, and a last part under way
        may still make it a success."""
        with self._changed:
            waiting = [one for one in self._waiting if item is None or one is item]
            for one in waiting:
                self._waiting.remove(one)
                one.state = "canceled"
            if item is None or item is self._current:
                self._gate.cancel()
            self._changed.notify_all()
        for one in waiting:
            self._tell("on_upload_canceled", one)

    def join(self, timeout_s: float | None = None) -> bool:
        """Waits until every file has ended. False: not within ``timeout_s``.

        Raises:
            ValueError: files wait, but ``start`` was not called.
        """
        with self._changed:
            if self._waiting and not self._started:
                raise ValueError("start() was not called")
            return self._changed.wait_for(
                lambda: not self._waiting and self._current is None, timeout_s
            )

    def close(self) -> None:
        """Cancels what has not ended and waits for that. Doing it twice does nothing."""
        with self._changed:
            self._closed = True
        self.cancel()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- the thread's side

    def _run(self) -> None:
        while (item := self._next()) is not None:
            outcome, *values = self._upload(item)
            with self._changed:
                item.state = outcome.removeprefix("on_upload_")
            self._tell(outcome, item, *values)
            with self._changed:
                self._current = None
                self._changed.notify_all()

    def _next(self) -> VodUpload | None:
        with self._changed:
            while not self._closed and (self._paused or not self._waiting):
                self._changed.wait()
            if not self._waiting:
                return None
            item = self._current = self._waiting.pop(0)
            self._gate = Gate()
            item.state = "uploading"
            return item

    def _upload(self, item: VodUpload) -> tuple[Any, ...]:
        """The name of the callback for the outcome, and what it is called with."""
        gate = self._gate
        try:
            ticket = self._ticket_for(item)
            item.receipt = transfer(
                item.source,
                Tickets(ticket, self._refresh_of(item), self._options.get("clock", SYSTEM)),
                ticket,
                gate,
                progress=lambda done, total: self._report(item, done, total),
                content_type=item.content_type,
                checkpoint=item.checkpoint,
                **self._options,
            )
        except Exception as error:
            if gate.canceled or isinstance(error, Canceled):
                return ("on_upload_canceled",)
            item.error = error
            return ("on_upload_failed", error)
        return ("on_upload_succeeded", item.receipt)

    def _ticket_for(self, item: VodUpload) -> UploadTicket:
        started = self._callbacks["on_upload_started"]
        assert started is not None
        if item.checkpoint is not None and not hasattr(item.source, "read"):
            item.media_id = unfinished(item.checkpoint, item.source)
        ticket = started(item)
        if not isinstance(ticket, UploadTicket):
            name = type(ticket).__name__
            raise TypeError(f"on_upload_started: returned {name}, not an UploadTicket")
        if ticket.media_id in self._bound:
            raise ValueError(f"on_upload_started: {ticket.media_id!r} is another file's ticket")
        self._bound.add(ticket.media_id)
        item.media_id = ticket.media_id
        return ticket

    def _refresh_of(self, item: VodUpload) -> Refresh | None:
        expired = self._callbacks["on_upload_token_expired"]
        if expired is None:
            return None

        def refresh(_media_id: str) -> UploadTicket:
            ticket: UploadTicket = expired(item)
            item.refreshes += 1
            return ticket

        return refresh

    def _report(self, item: VodUpload, done: int, total: int | None) -> None:
        callback = self._callbacks["on_upload_progress"]
        if callback is not None:
            callback(item, done, total)

    def _tell(self, name: str, *values: object) -> None:
        callback = self._callbacks[name]
        if callback is None:
            return
        try:
            callback(*values)
        except Exception as error:
            import logging

            logging.getLogger("ossmedia").warning("%s raised %s", name, type(error).__name__)
