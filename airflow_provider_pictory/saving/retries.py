"""Whether and when a download that broke off is tried again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from airflow_provider_pictory.exceptions import PictoryDownloadError
from airflow_provider_pictory.saving.file_host import ExpiredUrlError

if TYPE_CHECKING:
    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.saving.file_host import BrokenOffError
    from airflow_provider_pictory.task_log import Logger

# How often in a row an attempt may bring nothing new, with growing pauses between. They are also what is
# waited for a file that isn't there, or not for everybody, though Pictory names it already.
FRUITLESS_ATTEMPTS = 5
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
# Fewer bytes than these are nothing new, or a host could give one with each of its connections.
LEAST_PROGRESS = 10_000
# After so long no broken connection is followed by another one.
LONGEST_SECONDS = 6 * 60 * 60.0
PAUSE_BETWEEN_REPORTS = 30.0


class Retries:
    """
    Goes on while each attempt brings something new, or only few in a row don't.

    :param clock: to pause with.
    :param log: where the few lines about trouble go.
    """

    def __init__(self, clock: Clock, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self._began, self._reported = clock.monotonic(), -math.inf
        self._breaks = self._fruitless = self._furthest = 0
        self._has_expired = False

    def after(self, broken: BrokenOffError, position: int) -> bool:
        """
        Pause before the next attempt.

        :param broken: how the last one ended.
        :param position: how much of the file there is by now, in bytes.
        :return: whether a fresh URL is needed for it.
        :raises PictoryDownloadError: there shall be none: the host breaks off again and again, or two URLs in
            a row had expired.
        """
        if self._clock.monotonic() - self._began > LONGEST_SECONDS:
            raise PictoryDownloadError(
                f"The download isn't at its end after {LONGEST_SECONDS / 3600:g} hours: {broken}"
            )
        self._breaks += 1
        self._fruitless += 1
        if position >= self._furthest + LEAST_PROGRESS:
            self._furthest, self._fruitless, self._has_expired = position, 0, False
        is_last = self._fruitless >= FRUITLESS_ATTEMPTS
        if isinstance(broken, ExpiredUrlError) and (is_last or broken.was_good):
            self._need_fresh_url(broken)
            return True
        if is_last:
            raise PictoryDownloadError(
                f"The download failed {FRUITLESS_ATTEMPTS} times in a row after {self._furthest:,} bytes: "
                f"{broken}"
            )
        self._report(broken)
        if self._fruitless:
            pause = broken.pause or FIRST_PAUSE * 2.0 ** (self._fruitless - 1)
            self._clock.sleep(min(pause, LONGEST_PAUSE))
        return False

    def _need_fresh_url(self, broken: ExpiredUrlError) -> None:
        if self._has_expired:
            raise PictoryDownloadError(
                f"{broken}, though Pictory had just given that URL: it expired twice in a row"
            )
        self._has_expired, self._fruitless = True, 0
        self._log.info("%s: asking Pictory for a fresh URL", broken)

    def _report(self, broken: BrokenOffError) -> None:
        now = self._clock.monotonic()
        if now - self._reported >= PAUSE_BETWEEN_REPORTS:
            self._reported = now
            self._log.info("The download was interrupted %d times, going on: %s", self._breaks, broken)
