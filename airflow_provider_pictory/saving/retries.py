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

# How many attempts in a row may bring nothing new, with growing pauses between. They are also the time to
# wait for a file that Pictory names already, but that isn't there yet, or not for everybody.
FRUITLESS_ATTEMPTS = 5
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
# Fewer bytes don't count as progress, or a host could go on for ever with one for each connection.
LEAST_PROGRESS = 10_000
# After so many seconds, a broken connection isn't followed by another one.
LONGEST_SECONDS = 6 * 60 * 60.0
PAUSE_BETWEEN_REPORTS = 30.0


class Retries:
    """
    Allow another attempt unless too many in a row have brought nothing new.

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
        :return: whether the next attempt needs a fresh URL.
        :raises PictoryDownloadError: there is no next attempt: six hours have passed, the host breaks off
            again and again, or two URLs in a row had expired.
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
