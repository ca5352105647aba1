"""What a task has submitted, written down where it outlives the task's tries and a person's clear."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import secrets
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow.providers.common.compat.sdk import Variable
from pydantic import AwareDatetime, ValidationError

from airflow_provider_pictory.api.lists import Baseline
from airflow_provider_pictory.exceptions import PictoryLedgerError
from airflow_provider_pictory.wish import Wish, Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

# Under this key in Airflow's store of task state, and at the beginning of all Variables' names.
STATE_KEY = "pictory_submission"
VARIABLE_PREFIX = "pictory_submission_"
CLAIM_PREFIX = "pictory_job_claim_"
INDEX_PREFIX = "pictory_submission_index_"
PROBE_PREFIX = "pictory_probe_"

# Variables older than this are deleted along with a later submission of the same task.
VARIABLES_KEPT = timedelta(days=30)

# Two who claim a job in the same moment both find their own name, unless they look again a little later.
PAUSE_BEFORE_CLAIM_COUNTS = 2.0

MOST_EARLIER_JOBS = 50
WIDEST_GAP_AMONG_SIBLINGS = 10


class LedgerState(StrEnum):
    """How far a submission has come; the last two are ends that whoever clears the task has seen."""

    INTENDED = "intended"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    FAILED = "failed"
    DELIVERED = "delivered"


class Standing(StrEnum):
    """Whose a job is, as far as the tasks of this Airflow say."""

    FREE = "free"
    OWN = "own"
    OTHERS = "others"


class EarlierJob(Written):
    """A job that this task got before the present one, so that its id is never lost."""

    job_id: str
    fingerprint: str


class LedgerEntry(Written):
    """
    One task instance's submission.

    :param state: how far it has come.
    :param wish: what was to be submitted.
    :param try_number: Airflow's number of the try that wrote this.
    :param max_tries: Airflow's count of tries then; a person's clear changes it, a retry doesn't.
    :param task_instance_id: Airflow's id of that try, empty where it has none (Airflow 2).
    :param intended_at: when the POST was about to be sent, by the worker's clock.
    :param over_at: when the POST was over, however it went.
    :param server_time: the same moment as ``intended_at`` by Pictory's clock, where known.
    :param baseline: whether the account's newest job before the POST is known.
    :param newest_job_id: that job.
    :param candidates: the jobs that may have come from the POST, once they have been listed.
    :param job_id: what Pictory answered.
    :param accepted_at: when it did, by the worker's clock.
    :param estimated_credits: what the video was to cost.
    :param earlier_jobs: what this task instance got before, newest last.
    """

    version: Literal[1] = 1
    state: LedgerState
    wish: Wish
    try_number: int
    max_tries: int
    task_instance_id: str = ""
    intended_at: AwareDatetime
    over_at: AwareDatetime
    server_time: AwareDatetime | None = None
    baseline: Baseline = Baseline.UNKNOWN
    newest_job_id: str | None = None
    candidates: tuple[str, ...] | None = None
    job_id: str | None = None
    accepted_at: AwareDatetime | None = None
    estimated_credits: float | None = None
    earlier_jobs: tuple[EarlierJob, ...] = ()

    def but(self, **changes: Any) -> LedgerEntry:
        """Give the same entry with some fields changed."""
        return self.model_copy(update=changes)

    @property
    def jobs_so_far(self) -> tuple[EarlierJob, ...]:
        """The jobs that a next submission of this task instance comes after."""
        if self.job_id is None:
            return self.earlier_jobs
        present = EarlierJob(job_id=self.job_id, fingerprint=self.wish.fingerprint)
        return (*self.earlier_jobs, present)[-MOST_EARLIER_JOBS:]


class Ledger(ABC):
    """
    The ledger of one task instance, whatever its tries.

    :param place: DAG id, run id, task id and map index, which name the task instance.

    ``name`` tells it from all others.
    """

    def __init__(self, place: tuple[str, str, str, int]) -> None:
        self._place = place
        self.name = _digest(*place)

    def read(self) -> LedgerEntry | None:
        """
        Give what was written last, or ``None`` when nothing ever was.

        :raises PictoryLedgerError: it can't be read or understood.
        """
        try:
            text = self._read()
        except Exception as error:
            raise PictoryLedgerError(
                f"The record of what this task has submitted ({self}) can't be read ({_words(error)}), so "
                "nothing was submitted: it might be paid for twice. A later try may find it."
            ) from error
        return None if text is None else self._understood(text)

    def write(self, entry: LedgerEntry) -> None:
        """
        Replace what was written last.

        :raises PictoryLedgerError: it can't be written.
        """
        try:
            self._write(entry.model_dump_json(exclude_none=True))
        except Exception as error:
            raise PictoryLedgerError(
                f"The record of what this task submits ({self}) can't be written ({_words(error)})"
            ) from error

    def siblings(self) -> Iterator[LedgerEntry]:
        """Give what the other instances of a mapped task have written, where Airflow lets us see it."""
        yield from ()

    def claim(self, job_id: str) -> bool:
        """
        Make a job this ledger's own, unless it is another's.

        :return: whether it is this ledger's now.
        :raises PictoryLedgerError: it can't be found out.
        """
        standing = self.standing(job_id)
        if standing is Standing.FREE:
            self._write_claim(job_id)
            time.sleep(PAUSE_BEFORE_CLAIM_COUNTS)
            standing = self.standing(job_id)
        return standing is Standing.OWN

    def take_over(self, job_id: str) -> None:
        """
        Make a job this ledger's own whosever it was.

        :raises PictoryLedgerError: it can't be written.
        """
        self._write_claim(job_id)

    def standing(self, job_id: str) -> Standing:
        """
        Tell whose a job is.

        :raises PictoryLedgerError: it can't be found out.
        """
        key = _claim_key(job_id)
        try:
            owner = self._read_variable(key)
        except Exception as error:
            raise PictoryLedgerError(f"Variable {key} can't be read ({_words(error)})") from error
        if owner is None:
            return Standing.FREE
        return Standing.OWN if owner == self.name else Standing.OTHERS

    def keep_tidy(self, job_id: str) -> None:
        """
        Note which Variables belong to a submission, and delete those of this task's that are too old.

        There is no way to list Variables that all versions of Airflow have, so each task keeps an index of
        its own. Two runs that write it at once may drop a line, so that a Variable stays for ever: a blemish,
        no fault. Nothing that goes wrong here matters to the task.
        """
        dag_id, _, task_id, map_index = self._place
        index = INDEX_PREFIX + _digest(dag_id, task_id, map_index)
        now = datetime.now(UTC)
        try:
            lines = _lines(Variable.get(index, None))
            for key in self._variables(job_id):
                lines[key] = now
            for key, moment in tuple(lines.items()):
                if now - moment > VARIABLES_KEPT:
                    del lines[key]
                    Variable.delete(key)
            kept = {key: moment.isoformat(timespec="seconds") for key, moment in lines.items()}
            Variable.set(index, json.dumps(kept), f"Variables of {dag_id}.{task_id}, to be deleted by age")
        except Exception as error:  # noqa: BLE001  (see above)
            log.info("The Variables of earlier submissions can't be tidied up now: %s", _words(error))

    @abstractmethod
    def _read(self) -> str | None: ...

    @abstractmethod
    def _write(self, text: str) -> None: ...

    def _variables(self, job_id: str) -> tuple[str, ...]:
        return (_claim_key(job_id),)

    def _read_variable(self, key: str) -> str | None:
        """
        Read a Variable, insisting on the difference between one that isn't there and one that can't be read.

        Airflow gives the default for both, since it asks several places and overlooks the errors of each. So
        what isn't there is asked for again after a Variable that certainly is there could be read.
        """
        text = Variable.get(key, None)
        if text is None:
            probe, token = PROBE_PREFIX + self.name, secrets.token_hex(8)
            Variable.set(probe, token, "Whether Variables can be read; may be deleted")
            if Variable.get(probe, None) != token:
                raise PictoryLedgerError("a Variable that was just written can't be read")
            text = Variable.get(key, None)
            Variable.delete(probe)
        return None if text is None else str(text)

    def _understood(self, text: str) -> LedgerEntry:
        try:
            return LedgerEntry.model_validate_json(text)
        except ValidationError as error:
            faults = "; ".join(f"{_path(fault['loc'])}: {fault['msg']}" for fault in error.errors()[:3])
            raise PictoryLedgerError(
                f"The record of what this task has submitted ({self}) can't be understood ({faults}), so "
                "nothing was submitted: it might be paid for twice. Look up in Pictory whether the video is "
                "there; delete the record to submit again."
            ) from None

    def _write_claim(self, job_id: str) -> None:
        key = _claim_key(job_id)
        try:
            Variable.set(key, self.name, f"Pictory job {job_id} belongs to {self._described()}"[:1000])
        except Exception as error:
            raise PictoryLedgerError(f"Variable {key} can't be written ({_words(error)})") from error

    def _described(self) -> str:
        dag_id, run_id, task_id, map_index = self._place
        mapped = f"[{map_index}]" if map_index >= 0 else ""
        return f"{dag_id}.{task_id}{mapped} of run {run_id}"


class TaskStateLedger(Ledger):
    """
    Kept in Airflow's store of task state (3.3 and later), which is deleted with the DAG run.

    Other task instances' can't be seen there, siblings of a mapped task included.

    :param place: which names the task instance.
    :param store: ``context["task_state_store"]``.
    """

    def __init__(self, place: tuple[str, str, str, int], store: Any) -> None:
        super().__init__(place)
        self._store = store

    def __str__(self) -> str:
        return f"task state {STATE_KEY!r} of {self._described()}"

    def _read(self) -> str | None:
        value = self._store.get(STATE_KEY)
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def _write(self, text: str) -> None:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        # As an object, so that whoever reads it in the UI can.
        self._store.set(STATE_KEY, json.loads(text), retention=NEVER_EXPIRE)


class VariableLedger(Ledger):
    """Kept in an Airflow Variable, where there is no store of task state."""

    def __str__(self) -> str:
        return f"Variable {self._key} for {self._described()}"

    def siblings(self) -> Iterator[LedgerEntry]:
        """Give what the other instances of a mapped task have written."""
        dag_id, run_id, task_id, own_index = self._place
        if own_index < 0:
            return
        # How many instances there are, or were before a clear, isn't known everywhere.
        gap = 0
        for map_index in itertools.count():
            entry = VariableLedger((dag_id, run_id, task_id, map_index)).read()
            gap = 0 if entry or map_index <= own_index else gap + 1
            if gap > WIDEST_GAP_AMONG_SIBLINGS:
                return
            if entry and map_index != own_index:
                yield entry

    @property
    def _key(self) -> str:
        return VARIABLE_PREFIX + self.name

    def _read(self) -> str | None:
        return self._read_variable(self._key)

    def _write(self, text: str) -> None:
        Variable.set(self._key, text, f"What {self._described()} has submitted to Pictory"[:1000])

    def _variables(self, job_id: str) -> tuple[str, ...]:
        return (self._key, *super()._variables(job_id))


def open_ledger(context: Context) -> Ledger:
    """
    Give the ledger of the running task instance, kept in the best place that this Airflow has.

    :param context: Airflow's of the running task.
    """
    task_instance: Any = context["ti"]
    map_index = -1 if task_instance.map_index is None else int(task_instance.map_index)
    place = (task_instance.dag_id, task_instance.run_id, task_instance.task_id, map_index)
    store = cast("Mapping[str, Any]", context).get("task_state_store")
    return VariableLedger(place) if store is None else TaskStateLedger(place, store)


def _digest(*parts: object) -> str:
    # Names of Variables may have 250 characters, and a task's place has more.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _claim_key(job_id: str) -> str:
    return CLAIM_PREFIX + _digest(job_id)


def _lines(text: str | None) -> dict[str, datetime]:
    try:
        document = json.loads(text or "{}")
        return {str(key): datetime.fromisoformat(moment).astimezone(UTC) for key, moment in document.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "it"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
