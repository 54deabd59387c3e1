"""``python -m ossmedia.emulator``: the local cloud as a program.

What flows in: options. What flows out: one line of JSON on stdout when it is ready, and nothing
else there. SIGTERM and SIGINT end it with exit status 0. It never listens beyond loopback without
explicit access keys.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence

from .errors import OssError
from .serve import DEFAULT_ROLE, Emulator
from .state import DirectoryInUse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ossmedia emulator", description="A local cloud: OSS and STS on one port."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: loopback)")
    add("--port", type=int, default=0, help="port, 0 for any free one")
    add("--data", metavar="DIR", help="keep everything here (default: a temporary directory)")
    add("--discard", action="store_true", help="keep lengths and checksums, no content")
    add("--access-key-id", metavar="ID", help="long-lived key (default: made up)")
    add("--access-key-secret", metavar="SECRET", help="its secret")
    add("--bucket", action="append", default=[], metavar="NAME", help="make this bucket")
    add("--role", default=DEFAULT_ROLE, metavar="ARN", help="role that may be assumed")
    add("--max-session", type=int, default=3600, metavar="S", help="longest session, seconds")
    add("--region", default="cn-hangzhou", help="region, without oss-")
    add("--domain", action="append", default=[], help="host name whose sub-domains are buckets")
    add("--cname", action="append", default=[], metavar="DOMAIN=BUCKET", help="customer domain")
    add("--tls-cert", metavar="PEM", help="certificate chain, for https")
    add("--tls-key", metavar="PEM", help="its key")
    return parser


def _cnames(pairs: Sequence[str]) -> dict[str, str]:
    cnames: dict[str, str] = {}
    for pair in pairs:
        domain, equals, bucket = pair.partition("=")
        if not domain or not equals or not bucket:
            raise ValueError(f"--cname must be DOMAIN=BUCKET, got {pair!r}")
        cnames[domain] = bucket
    return cnames


def _emulator(options: argparse.Namespace) -> Emulator:
    return Emulator(
        host=options.host,
        port=options.port,
        data=options.data,
        discard=options.discard,
        access_key_id=options.access_key_id,
        access_key_secret=options.access_key_secret,
        buckets=options.bucket,
        role=options.role,
        region=options.region,
        max_session_s=options.max_session,
        cnames=_cnames(options.cname),
        domains=options.domain,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    Returns:
        0 after a signal, 1 when it cannot start, 2 for a wrong option.
    """
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with _emulator(options) as cloud:
            print(json.dumps(cloud.facts()), flush=True)
            stopped.wait()
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except (OSError, DirectoryInUse, OssError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
