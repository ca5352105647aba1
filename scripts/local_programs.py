"""What the demo and the UI start: the sandbox, and a small Airflow that knows it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
SECONDS_TO_END = 8


class NotStartedError(Exception):
    """A program doesn't run; the message is the one sentence that a person needs."""


def end_as_after_ctrl_c() -> None:
    """Return everything the chance to clean up, whichever of the usual signals ends us."""
    for end_signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A closed terminal ends us as well, unless nohup says that it shall not.
        if end_signal != signal.SIGHUP or signal.getsignal(end_signal) != signal.SIG_IGN:
            signal.signal(end_signal, signal.default_int_handler)


@contextmanager
def sandbox(render_seconds: float) -> Iterator[dict[str, Any]]:
    """Start the sandbox on a free port, give an Airflow connection to it, and end it."""
    with child(
        PROGRAMS / "pictory-sandbox", "--port", "0", "--render-seconds", str(render_seconds)
    ) as process:
        assert process.stdout is not None  # noqa: S101  (child gives it a pipe)
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("export AIRFLOW_CONN_"):
                # It has a line for each request, and would stand still once nobody took them any more.
                threading.Thread(target=_drain, args=(process.stdout,), daemon=True).start()
                yield json.loads(line.split("=", 1)[1].strip().strip("'"))
                return
        raise NotStartedError(f"the sandbox did not start: {' '.join(lines) or 'it said nothing'}")


def airflow_environment(home: Path, connection: dict[str, Any]) -> dict[str, str]:
    """Return the environment of a small Airflow with the examples, whatever the user's own is set to."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    # A proxy in the environment is not for this machine.
    direct = ",".join(filter(None, (own.get("no_proxy") or own.get("NO_PROXY"), "127.0.0.1,localhost")))
    return {
        **own,
        "no_proxy": direct,
        "NO_PROXY": direct,
        # Airflow starts its own parts by name.
        "PATH": os.pathsep.join((str(PROGRAMS), own.get("PATH", os.defpath))),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_PICTORY_DEFAULT": json.dumps(connection),
        "NO_COLOR": "1",
    }


def _drain(output: IO[str]) -> None:
    # It is closed once the program has ended.
    with suppress(ValueError):
        for _ in output:
            pass


@contextmanager
def child(
    *command: str | Path, environment: dict[str, str] | None = None, output: IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """
    Run a program in a process group of its own, of which nothing is left behind.

    :param command: the program and its arguments.
    :param environment: of the program, ours by default.
    :param output: where it writes to, a pipe by default.
    """
    process = subprocess.Popen(  # noqa: S603  (the programs are our own)
        [str(word) for word in command],
        env=environment,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        impatience = None
        for end_signal in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            try:
                if _has_ended(process, end_signal):
                    break
            except KeyboardInterrupt as error:
                # Another ctrl-C means the next signal, not that something may be left behind.
                impatience = error
        process.wait()
        if process.stdout:
            process.stdout.close()
        if impatience:
            raise impatience


def _has_ended(process: subprocess.Popen[str], end_signal: signal.Signals) -> bool:
    """Ask a whole process group to end, and tell whether it has within a while."""
    give_up_at = time.monotonic() + SECONDS_TO_END
    try:
        os.killpg(process.pid, end_signal)
        while time.monotonic() < give_up_at:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.1)
    except ProcessLookupError:
        return True
    return False


def shown(path: Path) -> str:
    """Return a path as a person in the project's folder would type it."""
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)


def say(words: str) -> None:
    """Tell the user something, at once also where the output goes into a file."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
