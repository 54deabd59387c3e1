"""Retention: recordings end by age, unless they are kept.

In flow the index and the settings, out flow deletions and, for the bucket, lifecycle rules. Age
counts from the later of what a camera says and what OSS says, so that a wrong clock of a camera
deletes nothing early. A deletion is marked before it is done and repeated until OSS confirms it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oss2 import models
from sqlalchemy import delete, false, select, update

from ossmedia.server.archive import KEPT, Archive
from ossmedia.server.recordings import DELETING, GONE, GROWING, READY
from ossmedia.server.schema import recordings

__all__ = ["RULES", "carry_out_deletions", "delete_expired", "forget_gone", "lifecycle_rules"]

DAY_S = 86_400.0
RULES = "ossmedia-"  # what the ids of this server's lifecycle rules begin with
FORGET_DAYS = 30
ORPHAN_DAYS = 7
_AT_ONCE = 500


def carry_out_deletions(archive: Archive, go_on: Callable[[], None] = lambda: None) -> int:
    """Deletes what is marked. Returns how many recordings are gone now.

    Raises:
        OssUnavailable, CredentialsError, StoreUnavailable: the rest stays marked.
    """
    gone = 0
    while True:
        go_on()
        marked = archive.doomed(_AT_ONCE)
        done = archive.carry_out(marked)
        gone += done
        if done < _AT_ONCE:
            return gone


def delete_expired(archive: Archive, go_on: Callable[[], None] = lambda: None) -> int:
    """Deletes what is older than the settings allow, but for what is kept. Returns how many
    recordings are gone now.

    Raises:
        OssUnavailable, CredentialsError, StoreUnavailable: as for ``carry_out_deletions``.
    """
    days = archive.settings.keep_days
    gone = 0
    while days > 0:
        go_on()
        count = _mark_expired(archive, archive.clock.now() - days * DAY_S)
        gone += carry_out_deletions(archive, go_on)
        if count < _AT_ONCE:
            break
    return gone


def _mark_expired(archive: Archive, before: float) -> int:
    """Marks some expired recordings. Returns how many."""
    expired = [
        recordings.c.state.in_((READY, GROWING)),
        recordings.c.keep == false(),
        recordings.c.start_at < before,
        recordings.c.modified_at < before,
    ]
    if archive.vod is None:
        expired.append(recordings.c.bucket == archive.oss.name)
    some = select(recordings.c.id).where(*expired).order_by(recordings.c.start_at).limit(_AT_ONCE)
    with archive.database.writing() as connection:
        ids = list(connection.execute(some.with_for_update(skip_locked=True)).scalars())
        # Asked again while it is marked: somebody may have said "keep" in between.
        query = update(recordings).where(recordings.c.id.in_(ids), *expired)
        values = {"state": DELETING, "changed_at": archive.clock.now()}
        return connection.execute(query.values(values)).rowcount


def forget_gone(archive: Archive) -> int:
    """Drops rows of what is gone for a month; marked discontinuities stay, live playlists count
    them. Returns how many."""
    old = delete(recordings).where(
        recordings.c.state == GONE,
        recordings.c.changed_at < archive.clock.now() - FORGET_DAYS * DAY_S,
        recordings.c.discontinuity == false(),
    )
    with archive.database.writing() as connection:
        return connection.execute(old).rowcount


def lifecycle_rules(prefixes: Sequence[str], days: int) -> list[models.LifecycleRule]:
    """The rules for the bucket: parts of uploads that nobody ended go after a week; with ``days``
    what is older goes, too, unless it is tagged as kept.

    Args:
        prefixes: what keys of recordings begin with, e.g. "cams/".
        days: 0: no recording is deleted by a rule.
    """
    rules = []
    for number, prefix in enumerate(prefixes):
        orphans = models.AbortMultipartUpload(days=ORPHAN_DAYS)
        name = f"{RULES}{number}"
        rules.append(
            models.LifecycleRule(f"{name}-unfinished", prefix, abort_multipart_upload=orphans)
        )
        if days:
            ((tag, value),) = KEPT.items()
            kept = models.LifecycleFilter(
                [models.FilterNot(prefix, models.FilterNotTag(tag, value))]
            )
            age = models.LifecycleExpiration(days=days)
            rules.append(models.LifecycleRule(f"{name}-age", prefix, expiration=age, filter=kept))
    return rules
