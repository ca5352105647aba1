"""A sandbox with an account that has seen some days, so that lists have pages and an order."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_pictory.client.settings import API_PATH
from airflow_provider_pictory.client.submitting import SUBMIT_PATH
from airflow_provider_pictory.sandbox.background import PictorySandbox
from airflow_provider_pictory.sandbox.settings import EXAMPLE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROMPT = "A lighthouse in a storm, seen by nobody else"
VIDEOS = 45
_HALF_AN_HOUR = 30 * 60.0


def fill(sandbox: PictorySandbox, videos: int = VIDEOS) -> None:
    """Let an account make its videos, half an hour apart."""
    with requests.Session() as session:
        session.trust_env = False
        for number in range(videos):
            response = session.post(
                f"{sandbox.url}{API_PATH}{SUBMIT_PATH}",
                json={"prompt": f"{PROMPT}, number {number}"},
                headers={"Authorization": sandbox.api_key},
                timeout=30,
            )
            response.raise_for_status()
            sandbox.advance(_HALF_AN_HOUR)


@contextmanager
def busy_sandbox(faults: Iterable[Any] = ()) -> Iterator[tuple[str, str]]:
    """Start such a sandbox, and give its base URL and key."""
    # Its lines have the queries of what is asked, and the table is what somebody wants to read.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    with PictorySandbox(api_key=EXAMPLE_KEY, render_seconds=2, faults=faults) as sandbox:
        fill(sandbox)
        yield sandbox.url, sandbox.api_key
