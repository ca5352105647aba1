"""The order of a run: what is free, then, where that was asked for, one clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_pictory.api.listings import read_video_list
from airflow_provider_pictory.client.calls import VIDEO_LIST_PATH
from live_check.account import check_connection, check_keys, check_ledger, check_refusals, check_whole_run
from live_check.assumptions import CONNECTION, FILES, FREE, KEYS, LEDGER, PAID, REFUSALS
from live_check.clip import make_clip
from live_check.files import check_files
from live_check.findings import Findings, Outcome
from live_check.lists import (
    JOB_LIST_NAMES,
    VIDEO_LIST_NAMES,
    UnreadableListError,
    check_lists,
    read_list,
)
from live_check.service import NoResponseError, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_pictory.client.settings import ConnectionSettings
    from live_check.assumptions import Assumption

# How long a baseline may take, of which each call is one.
SLOW_AFTER = 5.0
PARTS = ("connection", "keys", "refusals", "lists", "files", "ledger", "clip")
NOT_SUBMITTED = "not asked for: PAID=1 makes one clip"


@dataclass(frozen=True)
class Options:
    """
    How to run.

    :param is_paid: whether to make the clip.
    :param pause: seconds between two requests.
    :param interval: seconds between two polls of the clip.
    :param slow_after: how many seconds a call may take.
    :param parts: what to check.
    """

    is_paid: bool = False
    pause: float = 1.0
    interval: float = 10.0
    slow_after: float = SLOW_AFTER
    parts: Iterable[str] = PARTS


class Run:
    """
    One run against a service.

    :param settings: where it is, and with which key.
    :param options: how to run.
    :param say: tells the person at the terminal what goes on.
    """

    def __init__(
        self, settings: ConnectionSettings, options: Options, say: Callable[[str], object] = lambda _: None
    ) -> None:
        self._options = options
        self._say = say
        self._service = Service(settings, options.pause)
        self._may_pay = options.is_paid
        self.findings = Findings(settings.clean)

    @property
    def requests(self) -> int:
        """How many requests had a response."""
        return len(self._service.exchanges)

    def check(self) -> Findings:
        """Check all there is to check, and return the rows."""
        service, findings = self._service, self.findings
        self._part("connection", CONNECTION, lambda: check_connection(service, findings))
        self._part("keys", KEYS, lambda: check_keys(service, findings))
        self._part("refusals", REFUSALS, self._check_refusals)
        self._part("lists", (*JOB_LIST_NAMES, *VIDEO_LIST_NAMES), lambda: check_lists(service, findings))
        self._part("files", FILES, self._check_files)
        self._part("ledger", LEDGER, lambda: check_ledger(service, findings))
        if self._may_pay:
            self._part("clip", PAID, self._make_clip)
        check_whole_run(service, findings, self._options.slow_after)
        unasked = "not asked for" if tuple(self._options.parts) != PARTS else "nothing could show it"
        findings.miss(_names(FREE), unasked)
        refused = "nothing was submitted: it is not certain that the bad request was refused"
        findings.miss(_names(PAID), refused if self._options.is_paid else NOT_SUBMITTED)
        return findings

    def _part(self, part: str, names: Iterable[Assumption | str], check: Callable[[], object]) -> None:
        if part not in self._options.parts:
            return
        try:
            check()
        except NoResponseError as error:
            self.findings.miss(_names(names), str(error), Outcome.DIFFERS)
        except Exception as error:  # noqa: BLE001  (there is no end to the forms that a response may have)
            why = f"of a form that can't be read ({type(error).__name__})"
            self.findings.miss(_names(names), why, Outcome.DIFFERS)

    def _check_refusals(self) -> None:
        # Without a refusal that is certain, one may have been paid for, and there shall never be two.
        may_pay, self._may_pay = self._may_pay, False
        if check_refusals(self._service, self.findings):
            return
        self._may_pay = may_pay

    def _check_files(self) -> None:
        try:
            videos = read_list(self._service, VIDEO_LIST_PATH, read_video_list)
        except UnreadableListError as error:
            self.findings.miss(_names(FILES), str(error))
            return
        items = [item for item in videos.all_items if isinstance(item, dict)]
        check_files(self._service.settings, self.findings, items)

    def _make_clip(self) -> None:
        make_clip(self._service, self.findings, self._options.interval, self._say)


def _names(assumptions: Iterable[Assumption | str]) -> list[str]:
    return [it if isinstance(it, str) else it.name for it in assumptions]
