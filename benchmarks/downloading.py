"""
How fast and in how much memory a finished video is saved, beside ``curl``.

Both fetch the same file from a server on this machine that is a process of its own and lets the kernel send.
It is a real MP4, made large by a box of zeros that players skip. Both have it safely on the disk at the end:
what ``curl`` leaves is synced, and the time for that is added to its own. We also hash and check it. A process
that saves has saved a small video before, so that what it imports is there, as ``curl`` is.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import ROOT, keep, resident_bytes, say, without_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL, LARGE = "small", "large"
MEGABYTE = 1_000_000
SPEED_MEGABYTES = 500
MEMORY_MEGABYTES = 2_000
ROUNDS = 7
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108  (to measure without a disk)


def make_video(file: Path, megabytes: int) -> None:
    """Write a real MP4 of a size, most of it a hole that takes no room on the disk; 0 adds nothing to it."""
    from airflow_provider_pictory.sandbox.drawing import Scene
    from airflow_provider_pictory.sandbox.rendering import render
    from airflow_provider_pictory.sandbox.wire import VIDEO_FILE

    with tempfile.TemporaryDirectory() as folder:
        render(Scene("A benchmark", "", 2, 320, 180), Path(folder))
        content = (Path(folder) / VIDEO_FILE).read_bytes()
    with file.open("wb") as video:
        video.write(content)
        if megabytes:
            padding = megabytes * MEGABYTE - len(content)
            video.write(struct.pack(">I4s", padding, b"free"))
            video.truncate(megabytes * MEGABYTE)


class Handler(BaseHTTPRequestHandler):
    """Responds for Pictory, and for the host of its files."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        """Return the job or the file."""
        name = Path(self.path).name
        if name.endswith(".mp4"):
            with (self.folder / name).open("rb") as video:
                self._begin("video/mp4", os.fstat(video.fileno()).st_size)
                self.connection.sendfile(video)
            return
        data = {
            "status": "completed",
            "url": f"http://{self.headers['Host']}/{name}.mp4",
            "duration": "2s",
            "width": 320,
            "height": 180,
        }
        body = json.dumps({"job_id": name, "success": True, "data": data}).encode()
        self._begin("application/json", len(body))
        self.wfile.write(body)

    def _begin(self, kind: str, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


def serve(folder: str) -> None:
    """Serve a folder's files until somebody ends this process."""
    Handler.folder = Path(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    say(f"http://127.0.0.1:{server.server_port}")
    server.serve_forever()


@contextmanager
def serving(folder: Path, megabytes: int) -> Iterator[str]:
    """Serve a small and a large video from another process, and give the base URL."""
    make_video(folder / f"{SMALL}.mp4", 0)
    make_video(folder / f"{LARGE}.mp4", megabytes)
    with subprocess.Popen(
        [sys.executable, "-m", __name__, "serve", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def save_here(folder: str) -> None:
    """Save first the small video, then the large one, and tell of that how long it took, and the memory."""
    from airflow_provider_pictory.transfers.pictory_to_object_storage import PictoryToObjectStorageOperator

    for name in (SMALL, LARGE):
        target = Path(folder) / f"{name}-saved.mp4"
        operator = PictoryToObjectStorageOperator(task_id="save", job_id=name, path=str(target))
        idle = resident_bytes()
        forget_peak()
        started = time.monotonic()
        # Without Airflow's wrapper, which warns about whoever isn't a task.
        manifest = inspect.unwrap(type(operator).execute)(operator, {})
        outcome = {
            "bytes": manifest["bytes"],
            "took": time.monotonic() - started,
            "memory": peak_bytes() - idle,
        }
        target.unlink()
    say(json.dumps(outcome))


def forget_peak() -> None:
    """Let the most memory that this process ever held be what it holds now, where the system can do that."""
    references = Path("/proc/self/clear_refs")
    if references.exists():
        references.write_text("5")


def peak_bytes() -> int:
    """Return the most memory that this process held since :func:`forget_peak`."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(match[1]) * 1024 if match else resident_bytes()


def save(url: str, home: Path, folder: Path) -> dict[str, Any]:
    """Save the large video into a folder with the operator, in a fresh process."""
    connection = {"conn_type": "pictory", "host": url, "password": "pictai_benchmark"}
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", __name__, "save", str(folder)],
        cwd=ROOT,
        env=without_settings(
            AIRFLOW_HOME=str(home),
            AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
            AIRFLOW_CONN_PICTORY_DEFAULT=json.dumps(connection),
        ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    outcome: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return outcome


def curl(url: str, folder: Path) -> float:
    """Fetch the large video into a folder with curl, and give the seconds until it is on the disk."""
    target = folder / "fetched.mp4"
    command = ["curl", "--silent", "--fail", "--output", str(target), "--write-out", "%{time_total}"]
    finished = subprocess.run(
        [*command, f"{url}/{LARGE}.mp4"],
        env=without_settings(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    started = time.monotonic()
    with target.open("rb") as file:
        os.fsync(file.fileno())
    synced = time.monotonic() - started
    target.unlink()
    return float(finished.stdout) + synced


def measure_speed(folder: Path, home: Path, megabytes: int, rounds: int) -> dict[str, Any]:
    """Let both save a file into a folder in turn, first one first and then the other."""
    seconds: dict[str, list[float]] = {"curl": [], "pictory": []}
    with serving(folder, megabytes) as url:
        for number in range(rounds + 1):
            for name in ("curl", "pictory")[:: 1 if number % 2 else -1]:
                took = curl(url, folder) if name == "curl" else save(url, home, folder)["took"]
                # The first round fills the caches.
                if number:
                    seconds[name].append(took)
    return {
        **{name: megabytes / statistics.median(values) for name, values in seconds.items()},
        "ratio": statistics.median(
            theirs / ours for theirs, ours in zip(seconds["curl"], seconds["pictory"], strict=True)
        ),
        "seconds": seconds,
    }


def measure_memory(folder: Path, home: Path, megabytes: int) -> int:
    """Return the most bytes that saving a large video takes above a process that has saved a small one."""
    with serving(folder, megabytes) as url:
        outcome = save(url, home, folder)
    assert outcome["bytes"] == megabytes * MEGABYTE
    return int(outcome["memory"])


def hashing_speed() -> float:
    """Return the megabytes per second that this machine hashes with SHA-256, on one processor."""
    import hashlib

    piece, digest, started = bytes(MEGABYTE), hashlib.sha256(), time.monotonic()
    for _ in range(200):
        digest.update(piece)
    return 200 / (time.monotonic() - started)


def main(*, is_quick: bool = False) -> dict[str, Any]:
    """Measure on the disk and, where there is such a folder, in memory."""
    megabytes, rounds = (100, 3) if is_quick else (SPEED_MEGABYTES, ROUNDS)
    results: dict[str, Any] = {"megabytes": megabytes, "sha256": hashing_speed(), "folders": {}}
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as disk:
        folders = {"disk": Path(disk)}
        with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None) as memory:
            if MEMORY_FOLDER.is_dir():
                folders["memory"] = Path(memory)
            for name, folder in folders.items():
                row = measure_speed(folder, Path(home), megabytes, rounds)
                results["folders"][name] = row
                say(
                    f"{name:8} curl {row['curl']:6.0f} MB/s, pictory {row['pictory']:6.0f} MB/s, "
                    f"{row['ratio']:.2f}x (SHA-256 on one processor: {results['sha256']:.0f} MB/s)"
                )
        results["memory_megabytes"] = 200 if is_quick else MEMORY_MEGABYTES
        results["memory"] = measure_memory(Path(disk), Path(home), results["memory_megabytes"])
        say(f"memory   {results['memory'] / 2**20:.1f} MiB above idle for {results['memory_megabytes']:,} MB")
    keep("downloading", results)
    return results


if __name__ == "__main__":
    {"serve": serve, "save": save_here}[sys.argv[1]](*sys.argv[2:])
