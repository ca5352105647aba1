"""
Where submission records lie among Airflow's Variables: one Variable for each video in flight.

The name of a Variable says whose it is, what was requested and which job came of it, so that one listing of
names says who has which job. Airflow 3.0 to 3.2 can't list them; there a second Variable says it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import Variable

from airflow_provider_pictory.exceptions import PictoryRecordError
from airflow_provider_pictory.submission.names import NO_JOB, RECORD_PREFIX, Claims, RecordName, job_digest
from airflow_provider_pictory.submission.record import RecordState, read_record
from airflow_provider_pictory.submission.record_variables import RecordVariables
from airflow_provider_pictory.submission.variable_index import index_name, with_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from airflow_provider_pictory.submission.record import SubmissionRecord, TaskPlace

CLAIM_PREFIX = "pictory_job_claim_"
PROBE_PREFIX = "pictory_probe_"

# Two who claim a job in the same moment both find their own name, unless they read it again a little later.
PAUSE_BEFORE_CLAIM_COUNTS = 2.0


class ListedVariables(RecordVariables):
    """Where Airflow lists the names of Variables: 3.3 and later, and 2.11."""

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {}
        self._names_when_found: list[RecordName] = []

    def names(self) -> list[RecordName]:
        """Return the names of all records."""
        return [name for text in list_names(RECORD_PREFIX) if (name := RecordName.read(text)) is not None]

    def find(self, place: str, *, is_new: bool = False) -> list[tuple[str, str]]:
        """Return the records of a task instance; two where a crash came between writing and deleting."""
        self._names_when_found = self.names()
        texts = [str(name) for name in self._names_when_found if name.place == place]
        self._known[place] = set(texts)
        return [(text, read_existing(text)) for text in texts]

    def read(self, name: RecordName) -> str | None:
        """Return the text under a name that was listed."""
        return cast("str | None", Variable.get(str(name), None))

    def claims_when_found(self) -> Claims:
        """Return what the one listing of names has shown."""
        return Claims(self._names_when_found)

    def version(self, place: str) -> object:
        """Return the names of the task instance's records, which have the moment of the intent in them."""
        return frozenset(text for text in list_names(f"{RECORD_PREFIX}{place}_") if RecordName.read(text))

    def known_version(self, place: str) -> object:
        """Return the names that this process found and wrote."""
        return frozenset(self._known.get(place, ()))

    def write(self, record: SubmissionRecord, description: str) -> None:
        """
        Write a record under its name, and delete the task instance's former ones.

        Those of another job stay while an undecided task might take that job for its own without them.
        """
        place, name = record.place.digest, RecordName.of(record)
        Variable.set(str(name), record.as_json(), description)
        known = self._known.setdefault(place, set())
        for text in tuple(known - {str(name)}):
            former = RecordName.read(text)
            if former is None or former.job in ("", NO_JOB, name.job) or not self._is_awaited(former):
                Variable.delete(text)
                known.discard(text)
        known.add(str(name))

    def shown(self, record: SubmissionRecord) -> str | None:
        """Return the text under the record's name."""
        return self.read(RecordName.of(record))

    def _is_awaited(self, name: RecordName) -> bool:
        return bool(Claims(self.names()).undecided(name.prompt) - {name.place})

    def withdraw(self, claimed: SubmissionRecord, intent: SubmissionRecord, description: str) -> None:
        """Delete the claim, which has a name of its own, once the record is there without it."""
        self.write(intent, description)
        self.remove(claimed)

    def remove(self, record: SubmissionRecord) -> None:
        """Delete the record."""
        name = str(RecordName.of(record))
        Variable.delete(name)
        self._known.get(record.place.digest, set()).discard(name)

    def remove_all(self, record: SubmissionRecord) -> None:
        """Delete what was found and written."""
        for name in {str(RecordName.of(record)), *self._known.pop(record.place.digest, ())}:
            Variable.delete(name)

    def claims(self, job_ids: Iterable[str]) -> Claims:
        """Return who has which job, from one listing."""
        return Claims(self.names())

    def tidy(
        self,
        place: TaskPlace,
        records: Iterable[SubmissionRecord],
        now: datetime,
        has_no_other: Callable[[], bool],
        others: Iterable[str] = (),
    ) -> None:
        """Leave it to those who see the names of all records."""

    def find_by_job(self, job_id: str) -> list[tuple[str, str]]:
        """Return the records of a job, found by their names."""
        digest = job_digest(job_id)
        return [(str(name), read_existing(str(name))) for name in self.names() if name.job == digest]

    def pause_before_claim_counts(self) -> float:
        """Return 0: each claim has a name of its own, so none hides another."""
        return 0.0


class NamedVariables(RecordVariables):
    """
    Where Airflow can't list names (3.0 to 3.2): a record by its task instance, and a claim by its job.

    Airflow logs an error for each Variable that isn't there, so none is asked for that can't be there.
    """

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}

    def find(self, place: str, *, is_new: bool = False) -> list[tuple[str, str]]:
        """Return the record of a task instance."""
        if is_new:
            self._known[place] = None
            return []
        name = f"{RECORD_PREFIX}{place}"
        text = self._known[place] = read_for_certain(name)
        return [] if text is None else [(name, text)]

    def read(self, name: RecordName) -> str | None:
        """Return nothing, since no names are listed that others could be found by."""
        return None

    def claims_when_found(self) -> Claims:
        """Return none, since they are found by their jobs alone."""
        return Claims((), shows_pending=False)

    def version(self, place: str) -> object:
        """Return the text of the record itself."""
        return read_for_certain(f"{RECORD_PREFIX}{place}")

    def known_version(self, place: str) -> object:
        """Return the text that this process read or wrote."""
        return self._known.get(place)

    def write(self, record: SubmissionRecord, description: str) -> None:
        """
        Write a record, and claim its job before that counts as accepted: nobody else may take it meanwhile.

        Which job is about to be claimed is written first, so that after a crash in between the next try takes
        the claim back. It might find another job of the same prompt, and nobody could ever have this one.
        """
        if record.job_id is None:
            self._write_text(record, description)
            return
        if record.state is RecordState.INTENT or self._is_new_job(record):
            self._write_text(record.but(state=RecordState.INTENT), description)
        Variable.set(_claim_name(record.job_id), record.place.digest, description)
        if record.state is not RecordState.INTENT:
            self._write_text(record, description)

    def _is_new_job(self, record: SubmissionRecord) -> bool:
        """Tell whether what was written last knows nothing of the record's job."""
        known = self._known.get(record.place.digest)
        return known is not None and read_record(known).job_id != record.job_id

    def _write_text(self, record: SubmissionRecord, description: str) -> None:
        place, text = record.place.digest, record.as_json()
        Variable.set(f"{RECORD_PREFIX}{place}", text, description)
        self._known[place] = text

    def shown(self, record: SubmissionRecord) -> str | None:
        """Return the text of the task instance's one record."""
        return cast("str | None", Variable.get(f"{RECORD_PREFIX}{record.place.digest}", None))

    def withdraw(self, claimed: SubmissionRecord, intent: SubmissionRecord, description: str) -> None:
        """Delete the claim before the record forgets it, unless another task has written its own there."""
        name = _claim_name(str(claimed.job_id))
        if Variable.get(name, None) == claimed.place.digest:
            Variable.delete(name)
        self.write(intent, description)

    def remove(self, record: SubmissionRecord) -> None:
        """Delete record and claim."""
        self._known[record.place.digest] = None
        Variable.delete(f"{RECORD_PREFIX}{record.place.digest}")
        if record.job_id is not None:
            Variable.delete(_claim_name(record.job_id))

    def remove_all(self, record: SubmissionRecord) -> None:
        """Delete the record, of which there is but one."""
        self.remove(record)

    def claims(self, job_ids: Iterable[str]) -> Claims:
        """Return who has which of these jobs, after one probe that tells what isn't there from trouble."""
        wanted = tuple(job_ids)
        if wanted:
            _probe()
        names = []
        for job_id in wanted:
            place = Variable.get(_claim_name(job_id), None)
            if place is not None:
                names.append(RecordName(str(place), 0, "", job_digest(job_id)))
        return Claims(tuple(names), shows_pending=False)

    def find_by_job(self, job_id: str) -> list[tuple[str, str]]:
        """Return the record of a job, by way of its claim."""
        place = read_for_certain(_claim_name(job_id))
        return self.find(place) if place else []

    def tidy(
        self,
        place: TaskPlace,
        records: Iterable[SubmissionRecord],
        now: datetime,
        has_no_other: Callable[[], bool],
        others: Iterable[str] = (),
    ) -> None:
        """
        Note which Variables belong to the task instance, and delete those of this task's that are too old.

        Two runs that write the index at once may drop a line, so that a Variable stays.
        """
        index, names = index_name(place), list(others)
        for record in records:
            names.append(f"{RECORD_PREFIX}{record.place.digest}")
            names += [_claim_name(job.job_id) for job in record.jobs_so_far]
        text, old = with_names(None if has_no_other() else Variable.get(index, None), names, now)
        for name in old:
            Variable.delete(name)
        Variable.set(index, text, f"Variables of {place.dag_id}.{place.task_id}, to be deleted by age")

    def pause_before_claim_counts(self) -> float:
        """Return the seconds after which the later of two claims under one name is certain."""
        return PAUSE_BEFORE_CLAIM_COUNTS


def open_variables() -> RecordVariables:
    """Return the Variables as this Airflow lets tasks use them."""
    return ListedVariables() if are_listed_by_airflow() or _is_in_database() else NamedVariables()


def are_listed_by_airflow() -> bool:
    """Tell whether Airflow itself lists the names of Variables, as from 3.3 on."""
    return hasattr(Variable, "keys")


def list_names(prefix: str) -> list[str]:
    """Return the names of all Variables that begin so; unlike a read, this tells none from trouble."""
    if are_listed_by_airflow():
        return [str(name) for name in Variable.keys(prefix)]
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        model: Any = Variable
        return list(session.scalars(select(model.key).where(model.key.startswith(prefix, autoescape=True))))


def _is_in_database() -> bool:
    """Tell whether Variables are rows that a task may read itself, as on Airflow 2."""
    return hasattr(Variable, "__tablename__")


def _claim_name(job_id: str) -> str:
    return f"{CLAIM_PREFIX}{job_digest(job_id)}"


def read_existing(name: str) -> str:
    """Return the text of a Variable whose name was listed."""
    # Airflow asks several places and overlooks the errors of each, so the default can mean trouble.
    text = Variable.get(name, None)
    if text is None:
        raise PictoryRecordError(f"Variable {name} is listed but can't be read")
    return str(text)


def read_for_certain(name: str) -> str | None:
    """Return the text of a Variable, ``None`` only where it is certain that there is none."""
    text = Variable.get(name, None)
    if text is None:
        _probe()
        text = Variable.get(name, None)
    return None if text is None else str(text)


def _probe() -> None:
    """
    Raise an error unless Variables can be read.

    Airflow gives the default both for what isn't there and for what can't be read.
    """
    probe, token = f"{PROBE_PREFIX}{secrets.token_hex(8)}", secrets.token_hex(8)
    Variable.set(probe, token, "Whether Variables can be read; may be deleted")
    try:
        if Variable.get(probe, None) != token:
            raise PictoryRecordError("a Variable that was just written can't be read")
    finally:
        Variable.delete(probe)
