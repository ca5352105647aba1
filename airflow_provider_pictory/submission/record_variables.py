"""The interface to Airflow's Variables that submission records need, whatever tasks can do with those."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from airflow_provider_pictory.submission.names import Claims, RecordName
    from airflow_provider_pictory.submission.record import SubmissionRecord, TaskPlace


class RecordVariables(ABC):
    """The Variables that hold records. Every failure of Airflow's passes through as it is."""

    @abstractmethod
    def find(self, place: str, *, is_new: bool = False) -> list[tuple[str, str]]:
        """
        Return names and texts of a task instance's records, usually one or none.

        Nothing is returned only where it is certain that there is none.

        :param is_new: whether this is the task instance's first try, which has recorded nothing yet.
        """

    @abstractmethod
    def read(self, name: RecordName) -> str | None:
        """Return the text of another task instance's record, ``None`` where it is gone."""

    @abstractmethod
    def claims_when_found(self) -> Claims:
        """Return who had which job when :meth:`find` was called last, as far as that shows it."""

    @abstractmethod
    def version(self, place: str) -> object:
        """Return what changes whenever another try writes a record of this task instance."""

    @abstractmethod
    def known_version(self, place: str) -> object:
        """Return the version that this process read or wrote last."""

    @abstractmethod
    def write(self, record: SubmissionRecord, description: str) -> None:
        """Replace the record of a task instance."""

    @abstractmethod
    def shown(self, record: SubmissionRecord) -> str | None:
        """Return what the next try would read in place of a record that was just written."""

    @abstractmethod
    def withdraw(self, claimed: SubmissionRecord, intent: SubmissionRecord, description: str) -> None:
        """Take back a claim, and write its task instance's record without it."""

    @abstractmethod
    def remove(self, record: SubmissionRecord) -> None:
        """Delete a record, if it is there."""

    @abstractmethod
    def remove_all(self, record: SubmissionRecord) -> None:
        """Delete a record and all earlier ones of its task instance that this process knows of."""

    @abstractmethod
    def claims(self, job_ids: Iterable[str]) -> Claims:
        """Return who has which of these jobs, read once."""

    @abstractmethod
    def find_by_job(self, job_id: str) -> list[tuple[str, str]]:
        """Return names and texts of the records of a job."""

    @abstractmethod
    def tidy(
        self,
        place: TaskPlace,
        records: Iterable[SubmissionRecord],
        now: datetime,
        has_no_other: Callable[[], bool],
        others: Iterable[str] = (),
    ) -> None:
        """
        Delete what is too old to be asked about, where it can't be listed.

        :param place: the running task instance.
        :param records: its records.
        :param now: this moment.
        :param has_no_other: tells whether this task has noted none but these before, in any run.
        :param others: names of further Variables of the task instance.
        """

    @abstractmethod
    def pause_before_claim_counts(self) -> float:
        """Return the seconds after which two who claimed a job at once know of each other."""
