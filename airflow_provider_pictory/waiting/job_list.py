"""
Whether the account's list of jobs is worth its requests, judged by what its pages have shown.

A page that shows twenty awaited jobs saves twenty polls. One of other clients' jobs saves none, and one of a
megabyte costs more than the polls it saves.
"""

from __future__ import annotations

from collections import deque

# With fewer jobs than that there is little to save.
FEWEST_JOBS = 8
# How many awaited jobs a page has to show to be worth more than polls of single jobs.
FEWEST_SHOWN = 4
MOST_BYTES_FOR_EACH = 16 * 1024
# After so many pages in a row that aren't worth it, the rest of the list hardly is.
POOR_PAGES_IN_A_ROW = 2
MOST_PAGES = 200
# Seconds for which the list isn't read once it proved to be of no use. The first rest is short, since the
# newest jobs may be those whose waits are about to begin, but not after large pages.
FIRST_REST = 5.0
REST = 600.0
LARGE_PAGE = 64 * 1024
# After so many intervals without a poll of its own, each job is polled: the list is never believed for long.
LIST_POLLS_IN_A_ROW = 6
# How often the list is read where it is worth it, in seconds, but never more than a page a second. A page
# shows at least four awaited jobs, so for each that is less than the poll every 10 s that Pictory asks for.
PAUSE_BETWEEN_READINGS = 5.0
SECONDS_FOR_EACH_PAGE = 1.0
# The list lags where so many of the last checks found that a job had ended which it showed running.
MOST_CONTRADICTIONS = 3
CHECKS_REMEMBERED = 20


class JobListYield:
    """How useful the pages of the list of jobs have been."""

    def __init__(self) -> None:
        self._rests_until = float("-inf")
        self._pages = self._pages_before = 0
        self._poor_pages = 0
        self._was_worth_it = False
        self._is_read_on = False
        self._next_rest = FIRST_REST
        self._checks: deque[bool] = deque(maxlen=CHECKS_REMEMBERED)

    def is_worthwhile(self, awaited: int, now: float) -> bool:
        """
        Return whether to read the list.

        :param awaited: how many jobs are awaited.
        :param now: the loop's time.
        """
        return awaited >= FEWEST_JOBS and now >= self._rests_until

    @property
    def pause(self) -> float:
        """The seconds after which the list is read again, if it is."""
        pages = max(self._pages, self._pages_before)
        return max(PAUSE_BETWEEN_READINGS, pages * SECONDS_FOR_EACH_PAGE)

    @property
    def is_read_on(self) -> bool:
        """Whether reading the list was worth it last time."""
        return self._is_read_on

    def begin(self) -> None:
        """Note that the list is read from its first page."""
        self._pages, self._pages_before = 0, self._pages
        self._poor_pages = 0
        self._was_worth_it = False

    def page(self, shown: int, size: int) -> bool:
        """
        Note a page, and return whether the next one may be worth a request.

        :param shown: how many awaited jobs were on it.
        :param size: of the page in bytes.
        """
        self._pages += 1
        is_worth_it = shown >= FEWEST_SHOWN and size <= shown * MOST_BYTES_FOR_EACH
        self._was_worth_it |= is_worth_it
        self._poor_pages = 0 if is_worth_it else self._poor_pages + 1
        if not is_worth_it and size > LARGE_PAGE:
            self._next_rest = REST
        return self._poor_pages < POOR_PAGES_IN_A_ROW

    def end(self, now: float) -> None:
        """Note that nothing more of the list is read for now."""
        self._is_read_on = self._was_worth_it
        if self._was_worth_it:
            self._next_rest = FIRST_REST
        else:
            self._rests_until = now + self._next_rest
            self._next_rest = min(REST, 2 * self._next_rest)

    def check(self, *, has_ended: bool, now: float) -> None:
        """
        Note what a job's own poll said just after the list had shown the job running.

        :param has_ended: whether the job has ended.
        :param now: the loop's time.
        """
        self._checks.append(has_ended)
        if sum(self._checks) >= MOST_CONTRADICTIONS:
            self._checks.clear()
            self.rest(now)

    def rest(self, now: float) -> None:
        """Leave the list alone for a while."""
        self._is_read_on = False
        self._rests_until = now + REST
