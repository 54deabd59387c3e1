"""The operator's commands: serve, device, user, page, recordings, db.

In flow words of the command line, out flow lines and an exit code: 0 done, 1 failed, 2 wrong usage
or settings, 4 no such device or person. A key, a code or a password made here is printed once, on
standard output, because that is what was asked for; it never stands in a message.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossmedia.errors import CredentialsError
from ossmedia.server import page_commands, people_commands, recordings_commands
from ossmedia.server.database import Database, StoreUnavailable
from ossmedia.server.devices import Device, Registry, UnknownDevice, open_registry
from ossmedia.server.people import People, UnknownPerson
from ossmedia.server.sealing import Vault, make_key_file
from ossmedia.server.settings import Settings

if TYPE_CHECKING:
    from ossmedia.server.oss_access import OssAccess

__all__ = ["main"]

DONE, FAILED, USAGE, MISSING = 0, 1, 2, 4


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-c", "--config", default="ossmedia.toml", metavar="FILE")
    common.add_argument("--json", action="store_true", help="print JSON, one object a line")
    return common


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ossmedia")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", parents=[_common()], help="run the application server")
    serve.add_argument("--host", default="", help="instead of http.host")
    serve.add_argument("--port", type=int, default=-1, help="instead of http.port; 0: any")
    db = commands.add_parser("db", help="the server's database")
    database = db.add_subparsers(dest="action", required=True)
    database.add_parser(
        "upgrade", parents=[_common()], help="make or change the tables; make the key file once"
    )
    copying = database.add_parser(
        "copy", parents=[_common()], help="all rows into an empty database; stop the servers first"
    )
    copying.add_argument("source", help="URL, as the settings have it")
    copying.add_argument("destination", help="URL; passwords: in ~/.pgpass")
    device = commands.add_parser("device", help="who may upload")
    _device(device.add_subparsers(dest="action", required=True))
    user = commands.add_parser("user", help="who may sign in to the page")
    people_commands.add_parsers(user.add_subparsers(dest="action", required=True), _common)
    page = commands.add_parser("page", help="from where the page may play")
    page_commands.add_parsers(page.add_subparsers(dest="action", required=True), _common)
    recordings = commands.add_parser("recordings", help="the index of recordings and the bucket")
    actions = recordings.add_subparsers(dest="action", required=True)
    recordings_commands.add_parsers(actions, _common)
    return parser


def _device(actions: Any) -> None:
    add = actions.add_parser("add", parents=[_common()], help="register; prints its key")
    add.add_argument("id")
    add.add_argument("--prefix", default="", help="of its keys; else by the settings' template")
    add.add_argument("--modes", default="", help="letters: r w a m(ultipart) l(ist)")
    add.add_argument("--ttl", type=int, default=0, metavar="SECONDS", help="longest life of tokens")
    add.add_argument("--no-key", action="store_true", help="it will enrol itself")
    actions.add_parser("list", parents=[_common()], help="all devices")
    rotate = actions.add_parser(
        "rotate-key", parents=[_common()], help="a new key; the one before stays good"
    )
    rotate.add_argument("--drop-old", action="store_true", help="the old keys end at once")
    rotate.add_argument("id")
    for name, text in (
        ("show", "one device and the ids of its keys"),
        ("disable", "no more tokens, at once"),
        ("enable", "tokens again"),
        ("enrol-code", "a code for one key, good for 10 minutes"),
    ):
        actions.add_parser(name, parents=[_common()], help=text).add_argument("id")


def _print(args: argparse.Namespace, data: dict[str, Any], line: str) -> None:
    print(json.dumps(data) if args.json else line)


def _show(args: argparse.Namespace, device: Device, keys: list[tuple[str, float]]) -> None:
    data = {**device.to_json(), "keys": [{"id": i, "created_at": at} for i, at in keys]}
    lines = [f"{name + ':':12}{value}" for name, value in device.to_json().items()]
    lines.append(f"{'keys:':12}{' '.join(key for key, _ in keys)}")
    _print(args, data, "\n".join(lines))


def _add(args: argparse.Namespace, registry: Registry) -> None:
    device, key = registry.add(
        args.id, prefix=args.prefix, modes=args.modes, ttl_s=args.ttl, key=not args.no_key
    )
    line = key or f"{device.id}: registered; next: ossmedia device enrol-code {device.id}"
    _print(args, {**device.to_json(), "device_key": key}, line)


def _on_device(args: argparse.Namespace, registry: Registry) -> None:
    name: str = args.action
    if name == "add":
        _add(args, registry)
    elif name == "list":
        for device in registry.all():
            _print(args, device.to_json(), f"{device.id:24} {device.state:9} {device.prefix}")
    elif name == "show":
        _show(args, registry.get(args.id), registry.keys(args.id))
    elif name == "rotate-key":
        key = registry.rotate_key(args.id, drop_old=args.drop_old)
        _print(args, {"id": args.id, "device_key": key}, key)
    elif name == "enrol-code":
        code = registry.enrol_code(args.id)
        _print(args, {"id": args.id, "code": code}, code)
    else:
        device = registry.disable(args.id) if name == "disable" else registry.enable(args.id)
        _print(args, device.to_json(), f"{device.id}: {device.state}")


def _upgrade(args: argparse.Namespace, settings: Settings) -> None:
    database = Database(settings.database)
    try:
        if not Path(settings.key_file).exists():
            # A new key would lock out the devices of a database that has some.
            if database.revision() is not None and database.sealed():
                text = f"key_file: {settings.key_file} is missing, but this database needs it"
                raise ValueError(text)
            make_key_file(settings.key_file)
        revision = database.upgrade()
    finally:
        database.close()
    _print(args, {"revision": revision}, f"the database has revision {revision}")


def _copy(args: argparse.Namespace, settings: Settings) -> None:
    from ossmedia.server.copying import copy

    vault = Vault.from_file(settings.key_file)
    source, destination = Database(args.source), Database(args.destination)
    try:
        source.require_current()
        Registry(source, vault, settings.devices, settings.oss.bucket).check_vault()
        counts = copy(source, destination)
    finally:
        source.close()
        destination.close()
    lines = [f"{name:16} {count}" for name, count in counts.items()]
    _print(args, {"rows": counts}, "\n".join(lines))


def _serve(args: argparse.Namespace, settings: Settings) -> None:
    from ossmedia.server.serve import run

    http = settings.http
    if args.port > 65_535:
        raise ValueError(f"--port: must be 0-65535, not {args.port}")
    port = http.port if args.port < 0 else args.port
    run(replace(settings, http=replace(http, host=args.host or http.host, port=port)))


@contextmanager
def _bucket(settings: Settings) -> Iterator[OssAccess]:
    """The bucket; most commands do without it, and without the second that loading oss2 takes."""
    from ossmedia.server.oss_access import OssAccess, OssUnavailable

    access = OssAccess(settings.oss)
    try:
        yield access
    except OssUnavailable as error:
        raise OSError(str(error)) from None
    finally:
        access.close()


def _on_recordings(
    args: argparse.Namespace, settings: Settings, database: Database, registry: Registry
) -> None:
    from ossmedia.server.archive import Archive

    with _bucket(settings) as access:
        archive = Archive(database, access, settings)
        try:
            template = settings.devices.prefix
            recordings_commands.on_recordings(args, archive, registry, template)
        finally:
            archive.close()


def _on_page(args: argparse.Namespace, settings: Settings) -> None:
    with _bucket(settings) as access:
        page_commands.on_page(args, access)


def _run(args: argparse.Namespace) -> None:
    settings = Settings.load(args.config)
    if args.command == "serve":
        _serve(args, settings)
    elif args.command == "db":
        (_copy if args.action == "copy" else _upgrade)(args, settings)
    elif args.command == "page":
        _on_page(args, settings)
    else:
        database, _, registry = open_registry(settings)
        try:
            if args.command == "user":
                people_commands.on_person(args, People(database))
            elif args.command == "recordings":
                _on_recordings(args, settings, database, registry)
            else:
                _on_device(args, registry)
        finally:
            database.close()


def main(argv: Sequence[str]) -> int:
    """Runs one command; returns its exit code. Raises SystemExit(2) for wrong usage."""
    args = _parser().parse_args(argv)
    try:
        _run(args)
    except (UnknownDevice, UnknownPerson) as error:
        return _failed(error, MISSING)
    except (ValueError, TypeError) as error:
        return _failed(error, USAGE)
    except (OSError, StoreUnavailable, ImportError, CredentialsError) as error:
        return _failed(error, FAILED)
    return DONE


def _failed(error: Exception, code: int) -> int:
    print(f"ossmedia: {error}", file=sys.stderr)
    return code
