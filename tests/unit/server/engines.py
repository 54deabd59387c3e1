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


class Redis:
    """A Redis that listens on a socket of its own and keeps nothing on disk."""

    def __init__(self, folder: str) -> None:
        self._program = _need("redis-server", "redis-server")
        self._redis = pytest.importorskip("redis")
        self._folder, self._path = folder, f"{folder}/redis.sock"
        self.url = f"unix://{self._path}"
        self.start()

    def start(self) -> None:
        words = [self._program, "--port", "0", "--unixsocket", self._path, "--save", ""]
        words += ["--dir", self._folder]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        redis = self._redis
        retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), START_S * 50)
        errors = [redis.exceptions.ConnectionError, FileNotFoundError]
        with redis.Redis(unix_socket_path=self._path, retry=retry, retry_on_error=errors) as client:
            client.ping()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class PostgreSql:
    """A PostgreSQL that listens on a socket of its own. ``url`` is without a database's name."""

    def __init__(self, folder: str) -> None:
        initdb, pg_ctl = _need("initdb", "postgresql"), _need("pg_ctl", "postgresql")
        pytest.importorskip("psycopg")
        person = []
        if os.getuid() == 0:  # it refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            person = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = f"{folder}/data"
        make = [initdb, "-D", data, "-U", "ossmedia", "-A", "trust", "--no-sync", "-E", "UTF8"]
        _run([*person, *make], folder)
        self._folder = folder
        self._control = [*person, pg_ctl, "-D", data, "-w", "-t", str(START_S)]
        self.url = f"postgresql://ossmedia@/%s?host={folder}"
        self.start()

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        log = f"{self._folder}/log"
        _run([*self._control, "-o", options, "-l", log, "start"], self._folder)

    def kill(self) -> None:
        """Ends it as a crash would: connections break, the log is replayed at the next start."""
        _run([*self._control, "-m", "immediate", "stop"], self._folder)

    def make_database(self, name: str) -> str:
        """The URL of a new, empty one."""
        import psycopg

        with psycopg.connect(self.url % "postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url % name


@contextmanager
def redis_engine() -> Iterator[Redis]:
    """A Redis to be killed and started at will."""
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(folder)
        try:
            yield redis
        finally:
            redis.kill()


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of one."""
    with redis_engine() as redis:
        yield redis.url


@contextmanager
def postgresql_engine() -> Iterator[PostgreSql]:
    """A PostgreSQL to be killed and started at will; it must run at the end."""
    with tempfile.TemporaryDirectory() as folder:
        postgresql = PostgreSql(folder)
        try:
            yield postgresql
        finally:
            postgresql.kill()


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of one, without a database's name."""
    with postgresql_engine() as postgresql:
        yield postgresql.url


def _run(words: list[str], folder: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=folder)
