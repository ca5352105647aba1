"""
The folder that a run of ``make chaos``, ``chaos-oldest`` or ``soak`` leaves behind, however it ends.

``report.txt`` has all that was said, line by line as it was said; ``report.json`` the same for programs. For
each request that didn't end well there is a folder with its task logs, its submission records and the jobs
of its prompt; ``requests.log`` has every request that the service got.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import traceback
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

REPORTS = Path(__file__).parents[2] / "chaos-reports"

_open_files: list[IO[str]] = []


def say(words: str) -> None:
    """Tell whoever watches and the report, at once also where the output goes into a file."""
    for output in (*_open_files, sys.stdout):
        # A terminal that has gone must not end the run, nor its report.
        with suppress(OSError):
            output.write(f"{words}\n")
            output.flush()


class RunReport:
    """
    One run's folder; a context manager that ends with the line that names it.

    What ends the run early, a signal included, is written down, and ``exit_status`` is 1 then.

    :param name: of the run, such as ``"crashes"``.
    :param seed: what repeats it.
    :param reports: where the folders of all runs are.
    """

    def __init__(self, name: str, seed: int, reports: Path = REPORTS) -> None:
        self.name = name
        self.seed = seed
        moment = datetime.now().astimezone()
        self.folder = reports / f"{moment:%Y-%m-%d-%H%M%S}-{name}-{seed}"
        self.exit_status = 1
        self._document: dict[str, Any] = {"name": name, "seed": seed, "started": moment.isoformat()}

    def __enter__(self) -> RunReport:
        self.folder.mkdir(parents=True)
        self._file = (self.folder / "report.txt").open("w")
        _open_files.append(self._file)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        self.note(has_passed=False, ended="not yet, or killed")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self.exit_status = 1
            self.note(has_passed=False, error=repr(error))
            say("".join(traceback.format_exception(error)))
        ended = datetime.now().astimezone()
        self.note(ended=ended.isoformat(), exit_status=self.exit_status)
        say(f"exit {self.exit_status}; the report is in {self.folder}")
        _open_files.remove(self._file)
        self._file.close()
        return isinstance(error, (Exception, KeyboardInterrupt))

    def note(self, **facts: Any) -> None:
        """Write facts into ``report.json``, at once, so that they are there whatever comes."""
        self._document.update(facts)
        self.write("report.json", self._document)

    def write(self, name: str, content: object) -> None:
        """Write a file: text, or anything else as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, indent=2, default=str)
        path.write_text(text)

    def copy(self, source: Path, name: str) -> None:
        """Copy a file or a folder, if it is there."""
        with suppress(OSError, shutil.Error):
            if source.is_dir():
                shutil.copytree(source, self.folder / name, dirs_exist_ok=True)
            elif source.exists():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, self.folder / name)

    def say_all(self, lines: Iterable[str]) -> None:
        """Tell several lines."""
        for line in lines:
            say(line)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)
