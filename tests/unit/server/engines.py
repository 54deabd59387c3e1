"""Debian's PostgreSQL and Redis, started for the tests that need them and stopped after."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_S = 30


def _need(program: str, package: str) -> str:
    found = shutil.which(program)
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        found = found or shutil.which(program, path=str(folder))
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: apt-get install {package})")
    return found


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis that listens on a socket of its own and keeps nothing on disk."""
    program = _need("redis-server", "redis-server")
    redis = pytest.importorskip("redis")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        words = [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), START_S * 50)
            errors = [redis.exceptions.ConnectionError, FileNotFoundError]
            with redis.Redis(unix_socket_path=path, retry=retry, retry_on_error=errors) as client:
                client.ping()
            yield f"unix://{path}"
        finally:
            process.kill()
            process.wait()


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL, without a database's name, of a PostgreSQL that listens on a socket of its own."""
    initdb, pg_ctl = _need("initdb", "postgresql"), _need("pg_ctl", "postgresql")
    pytest.importorskip("psycopg")
    with tempfile.TemporaryDirectory() as folder:
        person = []
        if os.getuid() == 0:  # it refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            person = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = f"{folder}/data"
        make = [initdb, "-D", data, "-U", "ossmedia", "-A", "trust", "--no-sync", "-E", "UTF8"]
        _run([*person, *make], folder)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        control = [*person, pg_ctl, "-D", data, "-w", "-t", str(START_S)]
        _run([*control, "-o", options, "-l", f"{folder}/log", "start"], folder)
        try:
            yield f"postgresql://ossmedia@/%s?host={folder}"
        finally:
            _run([*control, "-m", "immediate", "stop"], folder)


def _run(words: list[str], folder: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=folder)
