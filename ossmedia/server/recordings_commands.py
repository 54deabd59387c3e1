"""The operator's commands for recordings: reconcile, expire, lifecycle.

In flow words of the command line, out flow lines. What the server does by itself now and then is
done here at once; the bucket's lifecycle rules are shown, and changed only when that is asked for.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ossmedia.server.devices import Registry

if TYPE_CHECKING:
    from ossmedia.server.archive import Archive

__all__ = ["add_parsers", "on_recordings"]


def add_parsers(actions: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """Adds the words after ``ossmedia recordings``.

    Args:
        common: makes a parser of the options that every command has.
    """
    actions.add_parser(
        "reconcile", parents=[common()], help="list the bucket and bring the index to it, now"
    )
    actions.add_parser(
        "expire", parents=[common()], help="delete what is older than recordings.keep_days, now"
    )
    rule = actions.add_parser(
        "lifecycle", parents=[common()], help="show the bucket's lifecycle rules for recordings"
    )
    rule.add_argument("--set", action="store_true", help="set them; other rules stay")


def on_recordings(
    args: argparse.Namespace, archive: Archive, registry: Registry, template: str
) -> None:
    """Does one of them.

    Args:
        template: of devices' prefixes, from the settings.

    Raises:
        OssUnavailable, CredentialsError, StoreUnavailable: what was done until then stays done.
    """
    from ossmedia.server.reconcile import reconcile
    from ossmedia.server.retention import carry_out_deletions, delete_expired

    if args.action == "reconcile":
        tally = reconcile(archive)
        line = f"{tally.listed} listed, {tally.noted} noted, {tally.gone} gone"
        _print(args, asdict(tally), line)
    elif args.action == "expire":
        gone = delete_expired(archive) + carry_out_deletions(archive)
        _print(args, {"deleted": gone}, f"{gone} deleted")
    else:
        _lifecycle(args, archive, prefixes(template, registry))


def _lifecycle(args: argparse.Namespace, archive: Archive, below: list[str]) -> None:
    from oss2 import models, xml_utils

    from ossmedia.server.retention import RULES, lifecycle_rules

    rules = lifecycle_rules(below, archive.settings.lifecycle_days)
    if args.set:
        others = [rule for rule in archive.oss.lifecycle() if not rule.id.startswith(RULES)]
        archive.oss.set_lifecycle([*others, *rules])
    text = xml_utils.to_put_bucket_lifecycle(models.BucketLifecycle(rules)).decode()
    shown = [{"id": rule.id, "prefix": rule.prefix} for rule in rules]
    _print(args, {"rules": shown, "set": args.set, "xml": text}, text)


def prefixes(template: str, registry: Registry) -> list[str]:
    """What keys of recordings begin with: the fixed part of the settings' template, and the
    prefixes of devices that lie elsewhere."""
    root = template.partition("{")[0]
    elsewhere = (d.prefix + "/" for d in registry.all() if not d.prefix.startswith(root))
    return [root, *elsewhere]


def _print(args: argparse.Namespace, data: dict[str, Any], line: str) -> None:
    print(json.dumps(data) if args.json else line)
