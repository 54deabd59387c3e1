"""The operator's commands for the page: page allow-origin, page origins.

In flow words of the command line, out flow lines. HLS from a private bucket plays in a page only
if the bucket has a rule for the origin of that page; these commands add one to those that are there
and never remove any.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ossmedia.server.setting_checks import origins

if TYPE_CHECKING:
    from ossmedia.server.oss_access import OssAccess

__all__ = ["add_parsers", "on_page"]

MOST_RULES = 10
_METHODS = ["GET", "HEAD"]


def add_parsers(actions: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """Adds the words after ``ossmedia page``.

    Args:
        common: makes a parser of the options that every command has.
    """
    allow = actions.add_parser(
        "allow-origin", parents=[common()], help="let the page play HLS from the bucket"
    )
    allow.add_argument("origin", help="where the page is: https://watch.example.com")
    actions.add_parser("origins", parents=[common()], help="the bucket's rules")


def on_page(args: argparse.Namespace, access: OssAccess) -> None:
    """Does one of them.

    Raises:
        ValueError: no origin, or the bucket has 10 rules already.
        OssUnavailable, CredentialsError: the bucket did not answer, or refused.
    """
    from oss2.models import CorsRule

    rules = access.cross_origin()
    if args.action == "allow-origin":
        origins("origin", [args.origin])
        if not any(_allows(rule, args.origin) for rule in rules):
            if len(rules) >= MOST_RULES:
                raise ValueError(f"origin: the bucket has {MOST_RULES} rules, and can have no more")
            rules.append(CorsRule([args.origin], _METHODS, ["range"], [], 3600))
            access.set_cross_origin(rules)
    for rule in rules:
        data = {"origins": rule.allowed_origins, "methods": rule.allowed_methods}
        words = (" ".join(data["origins"]), " ".join(data["methods"]))
        print(json.dumps(data) if args.json else f"{words[0]:40} {words[1]}")


def _allows(rule: Any, origin: str) -> bool:
    known = "*" in rule.allowed_origins or origin in rule.allowed_origins
    return known and set(_METHODS) <= set(rule.allowed_methods)
