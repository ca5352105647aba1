"""A busy life at a real sandbox, and the means to look back at it, in time that passes when all sleep."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.clock import Clock
from airflow_provider_pictory.exceptions import PictoryError
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.submission.fingerprint import RequestFingerprint
from airflow_provider_pictory.submission.names import RECORD_PREFIX, RecordName
from airflow_provider_pictory.submission.reconcile import LONGEST_SETTLING, Reconciler
from airflow_provider_pictory.submission.store import RecordStore
from airflow_provider_pictory.submission.variables import open_variables
from tests.conftest import API_KEY
from tests.submission.records import PLACE, PROMPT, an_intent
from tests.support.pictory_words import POST, count

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_pictory.sandbox.background import PictorySandbox
    from airflow_provider_pictory.submission.record import SubmissionRecord, TaskPlace
    from tests.support.task_tries import Variables

OURS = VideoRequest(PROMPT)
TIMEOUT = 900.0


class Time:
    """Time for tasks and for Pictory, which passes when somebody sleeps; of several, when all do."""

    def __init__(self) -> None:
        self.now = time.time()
        self.slept = 0.0
        self._plans: list[tuple[float, Callable[[], object]]] = []
        self._condition = threading.Condition()
        self._running: set[threading.Thread] = set()
        self._wakings: list[float] = []

    def time(self) -> float:
        return self.now

    def clock(self, ahead: float = 0.0) -> Clock:
        """Return the clock of a worker, which may be wrong about the date."""
        return Clock(lambda: datetime.fromtimestamp(self.now + ahead, UTC), self.time, self.sleep)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Plan something for when somebody sleeps that long."""
        self._plans.append((self.now + seconds, action))
        self._plans.sort(key=lambda plan: plan[0])

    def sleep(self, pause: float) -> None:
        assert 0 <= pause <= LONGEST_SETTLING
        if threading.current_thread() in self._running:
            self._sleep_with_others(pause)
            return
        end = self.now + pause
        while self._plans and self._plans[0][0] <= end:
            self.now, action = self._plans.pop(0)
            action()
        self.now = end
        self.slept += pause
        assert self.slept < 200_000, "it never ends"

    def run(self, *functions: Callable[[], object]) -> None:
        """Run functions at once, each in a thread of its own."""
        failures: list[BaseException] = []

        def run(function: Callable[[], object]) -> None:
            try:
                function()
            except BaseException as error:  # noqa: BLE001  (raised again below)
                failures.append(error)
            finally:
                with self._condition:
                    self._running.discard(threading.current_thread())
                    self._go_on()

        threads = [threading.Thread(target=run, args=[function], daemon=True) for function in functions]
        self._running |= set(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "it never ends"
        for failure in failures:
            raise failure

    def _sleep_with_others(self, pause: float) -> None:
        with self._condition:
            waking = self.now + pause
            self._wakings.append(waking)
            self._go_on()
            assert self._condition.wait_for(lambda: self.now >= waking, 120), "it never ends"
            self._wakings.remove(waking)

    def _go_on(self) -> None:
        asleep = [waking for waking in self._wakings if waking > self.now]
        if asleep and len(asleep) >= len(self._running):
            self.now = min(asleep)
            self._condition.notify_all()


class Log:
    """What a task has logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def info(self, message: str, *arguments: object) -> None:
        self._add(self.infos, message % arguments)

    def warning(self, message: str, *arguments: object) -> None:
        self._add(self.warnings, message % arguments)

    def error(self, message: str, *arguments: object) -> None:
        self._add(self.errors, message % arguments)

    def _add(self, lines: list[str], line: str) -> None:
        lines.append(line)
        self.lines.append(line)


class Account:
    """
    A Pictory, and an Airflow whose tasks have submitted to it.

    :param sandbox: the account.
    :param time: of everybody.
    :param variables: of the Airflow.
    """

    def __init__(self, sandbox: PictorySandbox, time: Time, variables: Variables) -> None:
        self.sandbox = sandbox
        self.time = time
        self.variables = variables
        self.hook = PictoryHook()
        self.log = Log()
        self.messages: list[str] = []
        self.posted = 0

    # What tasks do

    def store(self, place: TaskPlace = PLACE) -> RecordStore:
        return RecordStore(place, open_variables(), None, has_earlier_tries=True)

    def intend(self, request: VideoRequest = OURS, *, place: TaskPlace = PLACE, **changes: Any) -> Any:
        """Record what is about to be submitted, just as a task would."""
        newest = changes.pop("newest", None) or self.hook.get_baseline()
        fingerprint = RequestFingerprint.of(request, "pictory_default", self.hook.get_base_url())
        now = datetime.fromtimestamp(self.time.now + changes.pop("ahead", 0.0), UTC)
        return self.store(place).write(an_intent(fingerprint, newest, place=place, now=now, **changes))

    def post(self, request: VideoRequest | str = OURS) -> str:
        self.posted += 1
        return self.hook.submit_video(VideoRequest(request) if isinstance(request, str) else request)

    def accept(self, job_id: str, *, place: TaskPlace = PLACE) -> None:
        """Record that a task has got a job in a response."""
        store = self.store(place)
        record = store.read() or an_intent(place=place)
        store.write(record.accepted(job_id, datetime.fromtimestamp(self.time.now, UTC)))

    def find_out(
        self,
        record: SubmissionRecord | None = None,
        *,
        place: TaskPlace = PLACE,
        timeout: float = TIMEOUT,
        is_own_intent: bool = False,
        clock: Clock | None = None,
    ) -> str | None:
        """Find out as a later try would: from what is recorded, with a hook of its own."""
        store = self.store(place)
        read = store.read()
        record = record or read
        assert record is not None
        hook = PictoryHook()
        try:
            resolved = Reconciler(
                record,
                hook=hook,
                store=store,
                is_own_intent=is_own_intent,
                timeout=timeout,
                clock=clock or self.time.clock(),
                log=self.log,
            ).resolve()
            return resolved and resolved.job_id
        except PictoryError as error:
            self.messages.append(str(error))
            raise
        finally:
            hook.close()
            assert count(self.sandbox, POST) == self.posted, "the reconciliation submitted something"
            assert API_KEY not in str(self.messages + self.log.lines)

    # What a test looks at

    def record(self, place: TaskPlace = PLACE) -> SubmissionRecord:
        record = self.store(place).read()
        assert record is not None
        return record

    @property
    def owners(self) -> dict[str, str]:
        """The digests of the places that have a job, by the job's id."""
        claims = self.store().claims([job["job_id"] for job in self.sandbox.jobs()])
        owners = {job["job_id"]: claims.owners(job["job_id"]) for job in self.sandbox.jobs()}
        assert all(len(places) <= 1 for places in owners.values()), owners
        return {job_id: next(iter(places)) for job_id, places in owners.items() if places}

    @property
    def record_names(self) -> list[RecordName]:
        names = [RecordName.read(text) for text in self.variables.texts if text.startswith(RECORD_PREFIX)]
        return [name for name in names if name is not None]

    def end(self, job_id: str, status: str = "failed") -> None:
        self.sandbox.set_job(job_id, status)

    def counted(self, route: str) -> int:
        return count(self.sandbox, route)
