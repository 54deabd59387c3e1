"""The operator's commands for people: user add, list, grant, revoke, passwd, remove.

In flow words of the command line and, for a password, a line of standard input that a terminal does
not show, out flow lines. A password never stands on the command line, where every user of the
machine can read it; one that is made here is printed once, because that is what was asked for.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Callable
from getpass import getpass
from typing import Any

from ossmedia.server.people import People, Person

__all__ = ["add_parsers", "on_person"]

_LONGEST_LINE = 4096


def add_parsers(actions: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """Adds the words after ``ossmedia user``.

    Args:
        common: makes a parser of the options that every command has.
    """
    add = actions.add_parser("add", parents=[common()], help="somebody who may sign in")
    passwd = actions.add_parser(
        "passwd", parents=[common()], help="another password; all sessions end"
    )
    grant = actions.add_parser("grant", parents=[common()], help="let somebody see cameras")
    revoke = actions.add_parser("revoke", parents=[common()], help="no longer, at once")
    remove = actions.add_parser("remove", parents=[common()], help="nobody any more, at once")
    actions.add_parser("list", parents=[common()], help="all people")
    for parser in (add, passwd, grant, revoke, remove):
        parser.add_argument("name")
    for parser in (add, passwd):
        parser.add_argument(
            "--generate", action="store_true", help="make a password and print it, else ask for one"
        )
    for parser in (add, grant, revoke):
        parser.add_argument("--admin", action="store_true", help="all cameras, also new ones")
    for parser in (grant, revoke):
        parser.add_argument("camera", nargs="*", help="ids of devices")
    add.add_argument("--camera", action="append", default=[], help="may be given many times")


def on_person(args: argparse.Namespace, people: People) -> None:
    """Does one of them.

    Raises:
        TypeError, ValueError: a field is wrong, or the two passwords differ.
        UnknownPerson, UnknownDevice: there is none.
    """
    name: str = args.action
    if name == "list":
        for person in people.all():
            _print(args, person.to_json(), _line(person))
    elif name in ("add", "passwd"):
        password = secrets.token_urlsafe(15) if args.generate else _ask()
        _set_password(args, people, password)
        shown = {"password": password} if args.generate else {}
        person = people.get(args.name)
        _print(args, {**person.to_json(), **shown}, shown.get("password") or _line(person))
    elif name == "remove":
        people.remove(args.name)
        _print(args, {"name": args.name, "removed": True}, f"{args.name}: removed")
    else:
        if not args.camera and not args.admin:
            raise ValueError("camera: name at least one, or --admin")
        change = people.grant if name == "grant" else people.revoke
        person = change(args.name, args.camera, admin=args.admin)
        _print(args, person.to_json(), _line(person))


def _set_password(args: argparse.Namespace, people: People, password: str) -> None:
    if args.action == "add":
        people.add(args.name, password, admin=args.admin, cameras=args.camera)
    else:
        people.set_password(args.name, password)


def _ask() -> str:
    """A password: twice from a terminal, which does not show it; else a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
    first = getpass("Password: ")
    if getpass("Once more: ") != first:
        raise ValueError("password: the two differ")
    return first


def _line(person: Person) -> str:
    if person.cameras is None:
        return f"{person.name:24} all cameras"
    return f"{person.name:24} {' '.join(sorted(person.cameras)) or 'no camera'}"


def _print(args: argparse.Namespace, data: dict[str, Any], line: str) -> None:
    print(json.dumps(data) if args.json else line)
