"""One media file on its way into VOD: the ticket's credentials kept fresh, the file's bytes let
through a gate.

In flow a ticket, a file and the caller's way to refresh the ticket; out flows the receipt. Every
byte goes through the C core: a file that has a path in parts that can be resumed, another one
through a ``Writer``. Whatever a refresh brings, not a byte goes to another object than the first
ticket's.
"""

from __future__ import annotations

from ossmedia.bucket import Bucket
from ossmedia.clock import SYSTEM
from ossmedia.errors import CredentialsError, OssMediaError
from ossmedia.headers import header_lines
from ossmedia.resumable import Destination, store
from ossmedia.ticket import UploadTicket
from ossmedia.upload import MOST_PARTS
from ossmedia.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from ossmedia.clock import Clock
    from ossmedia.gate import Gate
    from ossmedia.model import Credentials, Receipt

    Source = str | os.PathLike[str] | BinaryIO
    Refresh = Callable[[str], UploadTicket]
    Progress = Callable[[int, Any], object]  # the second is None when a file cannot tell its size

__all__ = ["Tickets", "check_source", "transfer"]

_PIECE = 256 << 10
_MIB = 1 << 20
# How long a write waits for a free block before the gate is asked again.
_PATIENCE_S = 0.2


class Tickets:
    """A credentials provider over one media file's tickets: the first, then what ``refresh``
    brings.

    Args:
        ticket: the first.
        refresh: called with the media id when the credentials near their end or were refused;
            None: there is no way to go on then.

    Raises:
        TypeError: one of them is something else. ValueError: the ticket has ended, and there is no
            ``refresh``.
    """

    def __init__(
        self, ticket: UploadTicket, refresh: Refresh | None, clock: Clock = SYSTEM
    ) -> None:
        if not isinstance(ticket, UploadTicket):
            raise TypeError(f"ticket: must be an UploadTicket, not {type(ticket).__name__}")
        if refresh is not None and not callable(refresh):
            raise TypeError(f"refresh: must be a callable, not {type(refresh).__name__}")
        left = ticket.seconds_left(clock)
        if left <= 0 and refresh is None:
            raise ValueError(f"ticket: it ended {-left:.0f} s ago, and there is no refresh")
        self.refreshes = 0
        self._ticket = ticket
        self._refresh = refresh
        self._fresh = left > 0

    def provider(self) -> Credentials | Callable[[], Credentials]:
        """What a bucket takes."""
        return self._ticket.credentials if self._refresh is None else self

    def __call__(self) -> Credentials:
        if self._fresh:
            self._fresh = False
            return self._ticket.credentials
        self._ticket = self._checked(self._asked())
        self.refreshes += 1
        return self._ticket.credentials

    def _asked(self) -> object:
        assert self._refresh is not None
        try:
            return self._refresh(self._ticket.media_id)
        except Exception as error:
            raise CredentialsError(
                f"refresh: raised {type(error).__name__}",
                retryable=error.retryable if isinstance(error, OssMediaError) else True,
                retry_after_s=getattr(error, "retry_after_s", None),
            ) from error

    def _checked(self, fresh: object) -> UploadTicket:
        if not isinstance(fresh, UploadTicket):
            text = f"refresh: returned {type(fresh).__name__}, not an UploadTicket"
            raise CredentialsError(text, retryable=False)
        for name in ("media_id", "endpoint", "bucket", "key"):
            old, new = getattr(self._ticket, name), getattr(fresh, name)
            if new != old:
                text = f"refresh: returned a ticket for another {name}: {new!r}, not {old!r}"
                raise CredentialsError(text, retryable=False)
        if fresh.credentials == self._ticket.credentials:
            raise CredentialsError("refresh: returned the ticket that is to be replaced")
        return fresh


def check_source(source: Source) -> None:
    """Refuses what is neither a path nor a binary file.

    Raises:
        TypeError: naming the field.
    """
    import os

    if isinstance(source, str | os.PathLike):
        return
    if not hasattr(source, "read") or hasattr(source, "encoding"):
        name = type(source).__name__
        raise TypeError(f"path_or_file: must be a path or a binary file, not {name}")


def transfer(
    source: Source,
    tickets: Tickets,
    ticket: UploadTicket,
    gate: Gate,
    *,
    progress: Progress | None,
    content_type: str,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Receipt:
    """Stores a file where a ticket says. Returns what OSS confirmed.

    Args:
        checkpoint: of a file given by its path, see ``ossmedia.resumable.store``.
        options: of ``Bucket``, but its address and credentials.

    Raises:
        Canceled: through the gate; neither object nor parts stay.
        OSError, OssMediaError: as ``ossmedia.resumable.store``.
    """
    with Bucket(
        ticket.bucket,
        endpoint=ticket.endpoint,
        region=ticket.region,
        credentials=tickets.provider(),
        **options,
    ) as bucket:
        if isinstance(source, str) or hasattr(source, "__fspath__"):
            return store(
                bucket._session,  # noqa: SLF001 - the library's own way to a bucket's requests
                source,
                Destination(ticket.media_id, ticket.endpoint, ticket.bucket, ticket.key),
                gate=gate,
                block_size=options.get("block_size", _MIB),
                parallel=options.get("parallel", 2),
                headers=header_lines(content_type),
                progress=progress,
                checkpoint=checkpoint,
            )
        size = _size_of(source)
        writer = bucket.open(
            ticket.key,
            "wb",
            block_size=_block_size(options.get("block_size", _MIB), size),
            content_type=content_type,
            progress=None if progress is None else _rising(progress, size),
            total=size,
            write_timeout_s=_PATIENCE_S,
        )
        assert isinstance(writer, Writer)  # no spool, see vod.upload
        receipt = _written(source, writer, gate)
    if progress is not None:
        progress(receipt.size, size)
    return receipt


def _written(source: BinaryIO, writer: Writer, gate: Gate) -> Receipt:
    gated = _Gated(writer, gate)
    with writer:
        while piece := source.read(_PIECE):
            gated.write(piece)
        gate.pass_through()
    assert writer.result is not None
    return writer.result


def _rising(progress: Progress, size: int | None) -> Progress:
    """Progress that only rises, up to the size exclusively: the end is told by the receipt."""
    told = 0

    def report(stored: int, _total: object) -> None:
        nonlocal told
        if told < stored and stored != size:
            told = stored
            progress(stored, size)

    return report


class _Gated:
    """A writer behind a gate."""

    def __init__(self, writer: Writer, gate: Gate) -> None:
        self._writer = writer
        self._gate = gate

    def write(self, piece: bytes | memoryview) -> int:
        with memoryview(piece) as whole:
            done = 0
            while done < whole.nbytes:
                self._gate.pass_through()
                try:
                    done += self._writer.write(whole[done:])
                except BlockingIOError as full:
                    done += full.characters_written
            return done


def _size_of(file: BinaryIO) -> int | None:
    """Bytes from here to the end of a file that can seek; None for another."""
    try:
        here = file.tell()
        end = file.seek(0, 2)
        file.seek(here)
    except (OSError, AttributeError, ValueError):
        return None
    return max(end - here, 0)


def _block_size(least: int, size: int | None) -> int:
    """So large that 10,000 blocks suffice, if the size is known."""
    if size is None or size <= least * MOST_PARTS:
        return least
    return -(-size // (MOST_PARTS * _MIB)) * _MIB
