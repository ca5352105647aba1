"""
PostgreSQL and Redis, each a process of its own with a folder and a port of its own.

They are the programs of Debian's packages. Neither runs as root: where this process does, they run as the
user that the package made for PostgreSQL, or as nobody.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg2

from tests.e2e.real_airflow import free_port

SECONDS_TO_START = 120
UNPRIVILEGED = ("postgres", "nobody")
PACKAGES = {"initdb": "postgresql", "redis-server": "redis-server"}


class MissingProgramError(Exception):
    """A program isn't installed; the message says what to install."""


class Server:
    """
    A server that can be ended as by a crash and started again with what it had stored; a context manager.

    :param folder: an empty one for its data and its output.
    """

    name = ""
    # How it ends at once, without a word to those who are connected.
    crash_signal = signal.SIGKILL

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            user = _unprivileged()
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.crash()

    def prepare(self) -> None:
        """Make what it needs before its first start."""

    def start(self) -> None:
        """Start it and wait until it responds."""
        with (self.folder.parent / f"{self.name}.out").open("ab") as output:
            self._process = subprocess.Popen(
                [*as_unprivileged(), *self.command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self.responds():
            assert time.monotonic() < deadline, f"{self.name} doesn't respond"
            time.sleep(0.05)

    def crash(self) -> None:
        """End it at once, if it runs."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(self.crash_signal)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def responds(self) -> bool:
        """Tell whether it can be used."""
        raise NotImplementedError

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError


class Postgres(Server):
    """PostgreSQL with one empty database; its crash is what it calls an immediate shutdown."""

    name = "postgres"
    crash_signal = signal.SIGQUIT

    @cached_property
    def _programs(self) -> Path:
        return Path(require_program("initdb")).resolve().parent

    @property
    def command(self) -> list[str]:
        # What is written needn't reach the disk: the machine goes on when a process is killed.
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 400,
            "fsync": "off",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *words]

    def prepare(self) -> None:
        subprocess.run(
            [
                *as_unprivileged(),
                *(str(self._programs / "initdb"), "--pgdata", str(self.folder / "data")),
                *(
                    "--username",
                    "airflow",
                    "--auth",
                    "trust",
                    "--encoding",
                    "UTF8",
                    "--no-locale",
                    "--no-sync",
                ),
            ],
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def start(self) -> None:
        super().start()
        with closing(self.connect("postgres")) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            with suppress(psycopg2.errors.DuplicateDatabase):
                cursor.execute("CREATE DATABASE airflow")

    def connect(self, database: str = "airflow") -> Any:
        """Open a connection as the harness has it, past whatever slows down the others."""
        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user="airflow", dbname=database, connect_timeout=5
        )

    def responds(self) -> bool:
        try:
            self.connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True


class Redis(Server):
    """Redis, which keeps what it was told across restarts as in production."""

    name = "redis"

    @property
    def command(self) -> list[str]:
        return [
            require_program("redis-server"),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "yes", "--daemonize", "no"),
        ]

    def responds(self) -> bool:
        import redis

        try:
            with closing(redis.Redis(port=self.port, socket_timeout=2)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def require_program(name: str) -> str:
    """
    Return the path of a program.

    :raises MissingProgramError: it isn't there.
    """
    # Debian keeps PostgreSQL's programs apart, by version.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda it: int(it.parent.name))
    path = os.pathsep.join([*map(str, reversed(folders)), os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingProgramError(
            f"{name} isn't there: install Debian's package {PACKAGES[name]} "
            f"(apt-get install --no-install-recommends {PACKAGES[name]})"
        )
    return found


def as_unprivileged() -> list[str]:
    """Return what is put in front of a command so that it doesn't run as root."""
    if os.geteuid() != 0:
        return []
    user = _unprivileged()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _unprivileged() -> pwd.struct_passwd:
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise MissingProgramError(f"PostgreSQL doesn't run as root, and there is no user {UNPRIVILEGED}")
