"""The pages of the account's lists, read once for all submissions that are looked up at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_pictory.api.listings import JobListPage, VideoListPage
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook


class AccountPages:
    """
    The pages of the account's lists as they were at one moment, or later.

    :param hook: of the account's connection.
    :param began_at: that moment, in seconds of a monotonic clock.
    """

    def __init__(self, hook: PictoryHook, began_at: float) -> None:
        self.began_at = began_at
        self._hook = hook
        self._jobs: dict[str | None, JobListPage] = {}
        self._videos: dict[str | None, VideoListPage] = {}
        self._server_time: tuple[datetime | None, float] | None = None

    def server_time(self, clock: Clock) -> tuple[datetime | None, float]:
        """
        Return what Pictory's clock has shown, ``None`` if that isn't known, and when it was read.

        :param clock: for the moment of reading, in its monotonic seconds.
        """
        if self._server_time is None:
            self._server_time = self._hook.get_baseline().server_time, clock.monotonic()
        return self._server_time

    def jobs(self, page_key: str | None) -> JobListPage:
        """Return a page of the list of jobs."""
        if page_key not in self._jobs:
            self._jobs[page_key] = self._hook.list_jobs(page_key)
        return self._jobs[page_key]

    def videos(self, page_key: str | None) -> VideoListPage:
        """Return a page of the list of videos."""
        if page_key not in self._videos:
            self._videos[page_key] = self._hook.list_videos(page_key)
        return self._videos[page_key]
