"""
One HTTPS server that responds as Pictory, dbt Cloud, Databricks and a plain resource would about their jobs.

It is a process of its own, so that what it costs is no part of what a contestant costs, and hand-written, so
that it never is what limits a contestant. It counts connections and notes when each job was asked for: the
delays that count are those that the service sees, whatever a client believes of itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import ssl
import sys
import threading
import time
from typing import Any

from benchmarks.measuring import percentile, pin_to_processor

PICTORY_JOB = re.compile(rb"GET /pictoryapis/v1/jobs/([0-9a-f]{8})-")
PICTORY_JOBS = re.compile(rb"GET /pictoryapis/v1/jobs(?:\?nextPageKey=(\d+))? ")
DBT_CLOUD_RUN = re.compile(rb"GET /api/v2/accounts/1/runs/(\d+)/")
DATABRICKS_RUN = re.compile(rb"GET /api/2\.\d/jobs/runs/get ")
RESOURCE = re.compile(rb"GET /videos/(\d+) ")
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def pictory_job_id(number: int) -> str:
    """Return the id of a job in the form that Pictory's have."""
    return f"{number:08x}-d071-4847-bda5-8dea913d80fe"


def ends(count: int, seed: int, first: float, span: float) -> list[float]:
    """Draw the moment when each job ends, the same for everybody with the same seed."""
    draw = random.Random(seed)  # noqa: S311  (no secret)
    return [first + draw.random() * span for _ in range(count)]


class Service:
    """What the server knows of its jobs and has seen of its clients."""

    def __init__(self, jobs: int, page_size: int = 0, foreign_pages: int = 0, foreign_bytes: int = 0) -> None:
        self.ends = [float("inf")] * jobs
        # Those after it don't exist yet.
        self.newest = jobs - 1
        # Without a page's size there is no list of jobs.
        self.page_size = page_size
        # Pages of other clients' jobs, which are newer than all of ours.
        self.foreign_pages = foreign_pages
        self.foreign_bytes = foreign_bytes
        self.pages: list[tuple[float, list[int]]] = []
        self.connections: list[float] = []
        self.arrivals: list[tuple[float, int]] = []
        self.seen: set[int] = set()

    def response(self, head: bytes, body: bytes) -> bytes:
        """Return the whole response to a request."""
        now = time.monotonic()
        if self.page_size and (match := PICTORY_JOBS.match(head)):
            return _message(b"200 OK", self._page(int(match[1] or 0), now))
        if match := PICTORY_JOB.match(head):
            number = int(match[1], 16)
            document = _pictory(number, has_ended=now >= self.ends[number])
        elif match := RESOURCE.match(head):
            number = int(match[1])
            # HttpSensor's trigger takes any response but a 404 for the end.
            document = {"video": number} if now >= self.ends[number] else None
        elif match := DBT_CLOUD_RUN.match(head):
            number = int(match[1])
            document = _dbt_cloud(number, has_ended=now >= self.ends[number])
        elif DATABRICKS_RUN.match(head):
            number = json.loads(body)["run_id"]
            document = _databricks(number, has_ended=now >= self.ends[number])
        else:
            return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
        self.arrivals.append((now, number))
        self.seen.add(number)
        status = b"404 Not Found" if document is None else b"200 OK"
        return _message(status, document or {"message": "not there yet"})

    def _page(self, number: int, now: float) -> dict[str, Any]:
        """Return a page of the list of jobs, newest first."""
        if number < self.foreign_pages:
            self.pages.append((now, []))
            words = "x" * (self.foreign_bytes // self.page_size)
            items = [
                {"success": True, "data": {"jobId": f"{number}-{index}", "status": "completed", "of": words}}
                for index in range(self.page_size)
            ]
        else:
            newest = self.newest - (number - self.foreign_pages) * self.page_size
            numbers = list(range(newest, max(-1, newest - self.page_size), -1))
            self.pages.append((now, numbers))
            self.seen.update(numbers)
            items = [_pictory_listed(job, has_ended=now >= self.ends[job]) for job in numbers]
        is_last = (number + 1 - self.foreign_pages) * self.page_size > self.newest
        return {"items": items, "nextPageKey": None if is_last else str(number + 1)}

    def looks(self, start: float, end: float, interval: float) -> int:
        """Count how often clients learned how a job is, more than half an interval after the time before."""
        moments = sorted(
            [*self.arrivals, *((moment, number) for moment, numbers in self.pages for number in numbers)]
        )
        last: dict[int, float] = {}
        count = 0
        for moment, number in moments:
            if moment > end:
                break
            if moment - last.get(number, float("-inf")) > interval / 2:
                last[number] = moment
                count += moment >= start
        return count

    def report(self, start: float, end: float, interval: float) -> dict[str, Any]:
        """
        Return what the clients did between two moments, and in all.

        A poll is late by what it comes after the one before it beyond the interval. One that should have come
        by the end of the window and hasn't counts with what it is late already: those who can't keep up
        would look better the fewer polls they send.
        """
        last: dict[int, float] = {}
        late: list[float] = []
        polls = 0
        for moment, number in self.arrivals:
            if moment > end:
                break
            if moment >= start:
                polls += 1
                if number in last:
                    late.append(max(0.0, moment - last[number] - interval))
            last[number] = moment
        late += [end - moment - interval for moment in last.values() if end - moment > interval]
        return {
            "polls": polls,
            "polls_late_p50": percentile(late, 50),
            "polls_late_p99": percentile(late, 99),
            "connections_in_window": sum(start <= moment <= end for moment in self.connections),
            "connections": len(self.connections),
            "requests": len(self.arrivals),
            "pages": sum(start <= moment <= end for moment, _ in self.pages),
            "looks": self.looks(start, end, interval),
        }


def _message(status: bytes, document: dict[str, Any]) -> bytes:
    content = json.dumps(document).encode()
    return (
        b"HTTP/1.1 %b\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nConnection: keep-alive\r\nServer: mock\r\n\r\n%b"
        % (status, len(content), content)
    )


class _Connection(asyncio.Protocol):
    """One connection, kept open for as long as the client likes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._service.connections.append(time.monotonic())

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head = self._pending[: end + 2]
            length = CONTENT_LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._pending) < whole:
                return
            body, self._pending = self._pending[end + 4 : whole], self._pending[whole:]
            self._transport.write(self._service.response(head, body))  # type: ignore[attr-defined]


def _pictory(number: int, *, has_ended: bool) -> dict[str, Any]:
    job_id = pictory_job_id(number)
    data: dict[str, Any] = {"status": "in-progress"}
    if has_ended:
        folder = f"https://videos.example.com/{job_id}"
        data = {
            "status": "completed",
            "url": f"{folder}/video.mp4",
            "duration": 8.0,
            "width": 1280,
            "height": 720,
            "lastFrameImageUrl": f"{folder}/last.png",
            "aiCreditsUsed": 80,
        }
    return {"job_id": job_id, "success": True, "data": data}


def _pictory_listed(number: int, *, has_ended: bool) -> dict[str, Any]:
    document = _pictory(number, has_ended=has_ended)
    return {"success": True, "data": {"jobId": document["job_id"], **document["data"]}}


def _dbt_cloud(number: int, *, has_ended: bool) -> dict[str, Any]:
    status, words = (10, "Success") if has_ended else (3, "Running")
    return {
        "status": {"code": 200, "is_success": True, "user_message": "Success!", "developer_message": ""},
        "data": {"id": number, "account_id": 1, "status": status, "status_humanized": words},
    }


def _databricks(number: int, *, has_ended: bool) -> dict[str, Any]:
    state = {"life_cycle_state": "RUNNING", "state_message": ""}
    if has_ended:
        state = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": ""}
    return {"job_id": number, "run_id": number, "state": state, "tasks": []}


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until the standard input ends, and answer the questions that come there line by line."""
    service = Service(arguments.jobs, arguments.page_size, arguments.foreign_pages, arguments.foreign_bytes)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(service), "127.0.0.1", 0, ssl=context, backlog=4096)
    finished = asyncio.Event()

    def tell(response: Any) -> None:
        sys.stdout.write(json.dumps(response) + "\n")
        sys.stdout.flush()

    def handle(question: dict[str, Any]) -> None:
        if question["what"] == "seen":
            tell(len(service.seen))
        elif question["what"] == "ends":
            numbers = slice(question.get("from", 0), question.get("to", arguments.jobs))
            count = len(service.ends[numbers])
            service.ends[numbers] = ends(count, question["seed"], question["first"], question["span"])
            service.newest = numbers.stop - 1
            tell(True)
        else:
            tell(service.report(question["start"], question["end"], question["interval"]))

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(handle, json.loads(line))
        loop.call_soon_threadsafe(finished.set)

    threading.Thread(target=listen, daemon=True).start()
    tell({"port": server.sockets[0].getsockname()[1]})
    await finished.wait()


def main() -> None:
    """Run the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument(
        "--page-size", type=int, default=0, help="of the list of jobs; without it, there is none"
    )
    parser.add_argument("--foreign-pages", type=int, default=0, help="of jobs newer than those awaited")
    parser.add_argument("--foreign-bytes", type=int, default=0, help="of each such page")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    arguments = parser.parse_args()
    pin_to_processor(1)
    asyncio.run(serve(arguments))
    # Thousands of open connections need no farewell.
    os._exit(0)


if __name__ == "__main__":
    main()
