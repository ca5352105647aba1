"""Transfers here take real MP4s from hosts on this machine, to its disk and to an S3 server on it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_pictory.clock import Clock
from tests.support.file_hosts import HEIGHT, SECONDS, WIDTH, gives
from tests.support.pictory_words import submit


class IdleTime:
    """
    Time that passes when somebody sleeps, which takes none.

    :param step: seconds that pass whenever somebody asks for the time, too.
    """

    def __init__(self, step=0.0):
        self.pauses = []
        self.clock = Clock(lambda: datetime.now(UTC), self.monotonic, self.pauses.append)
        self._step = step
        self._asked = 0

    def monotonic(self):
        self._asked += 1
        return sum(self.pauses) + self._step * self._asked


@pytest.fixture
def idle_time():
    return IdleTime()


@pytest.fixture
def pauses(idle_time):
    """Return the pauses after attempts that brought nothing; nobody waits for them."""
    return idle_time.pauses


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    """Let nothing of this machine's own setup reach the clients."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-configuration"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def finished_job(pictory):
    """
    Finish a job whose file is on some other host, and give the job's id.

    Each poll of the job gives the next of the URLs, the last one for ever.
    """

    def finish(*urls, **facts):
        job_id = submit()
        for number, url in enumerate(urls, 1):
            data = {
                "status": "completed",
                "url": url,
                "duration": f"{SECONDS}s",
                "width": WIDTH,
                "height": HEIGHT,
                **facts,
            }
            body = {"job_id": job_id, "success": True, "data": data}
            times = 20 if number == len(urls) else 1
            pictory.respond_next(f"/v1/jobs/{job_id}", body=body, times=times)
        return job_id

    return finish


@pytest.fixture
def job_of(finished_job, serve):
    """Finish a job whose file has a content, at a host that :func:`gives` it so, and give the job's id."""

    def job_of(content, **how):
        return finished_job(serve(gives(content, **how)).url)

    return job_of


class LocalPlace:
    """A place for one file on the disk."""

    def __init__(self, folder):
        self._folder = folder
        self._file = folder / "film.mp4"
        self.path = str(self._file)

    def put(self, content):
        self._folder.mkdir(exist_ok=True)
        self._file.write_bytes(content)

    def read(self):
        return self._file.read_bytes() if self._file.exists() else None

    def others(self):
        """Return whatever is there besides the file."""
        return [path.name for path in self._folder.glob("*") if path != self._file]

    def stamp(self):
        """Return what changes whenever something is written under the name."""
        status = self._file.stat()
        return status.st_ino, status.st_mtime_ns


class StoredPlace:
    """A place for one file in a bucket."""

    def __init__(self, bucket):
        self.path = f"s3://media@{bucket.name}/films/film.mp4"
        self._bucket = bucket

    def put(self, content):
        self._bucket.put("films/film.mp4", content)

    def read(self):
        return self._bucket.read("films/film.mp4") if "films/film.mp4" in self._bucket.names() else None

    def others(self):
        """Return whatever is there besides the file."""
        return [key for key in self._bucket.names() if key != "films/film.mp4"] + self._bucket.uploads()

    def stamp(self):
        return [line for line in self._bucket.server.requests if line.startswith(("PUT", "POST"))]


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path):
    """Return a place for one file, on the disk or in the bucket."""
    if request.param == "local":
        return LocalPlace(tmp_path / "films")
    return StoredPlace(request.getfixturevalue("bucket"))
