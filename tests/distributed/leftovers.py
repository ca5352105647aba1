"""
Nothing outlives the harness, however it ends: a process of its own watches it and ends what is left.

Tasks whose supervisor was killed belong to nobody, and programs overwrite what they were started with; what
stays is the folder that they run in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def nothing_left_of(home: Path) -> Iterator[None]:
    """End all processes that run in a folder when this context ends, or this process does."""
    with subprocess.Popen(
        [sys.executable, __file__, str(home)],
        # At the end of this pipe there is nobody left once this process is gone.
        stdin=subprocess.PIPE,
        start_new_session=True,
    ):
        yield


def kill_all_in(home: Path) -> None:
    """End all processes that run in a folder or below it, and those that they start meanwhile."""
    while processes := [process for process in psutil.process_iter() if _runs_in(process, home)]:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=5)


def _runs_in(process: psutil.Process, home: Path) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return Path(process.cwd()).is_relative_to(home)
    except (psutil.Error, OSError):
        return False


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.stdin.read()
    kill_all_in(Path(sys.argv[1]))
