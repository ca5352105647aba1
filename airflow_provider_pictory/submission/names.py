"""What the name of a record's Variable says, so that one listing of names tells who has which job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_pictory.submission.record import RecordState, digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_pictory.submission.record import SubmissionRecord

RECORD_PREFIX = "pictory_submission_"
# In the place of a job's digest: that of an intent, and of a record without a job.
PENDING = "pending"
NO_JOB = "none"
# What the last part of a name may say, if there is one.
CLAIMING = "claiming"
LOST = "lost"


@dataclass(frozen=True)
class RecordName:
    """
    The name of the Variable that holds a record.

    :param place: digest of the task instance.
    :param written_at: microseconds since the epoch of the intent, by the worker's clock.
    :param prompt: digest of the prompt.
    :param job: digest of the job id; empty while nobody knows whether there is a job.
    :param is_being_claimed: whether the job was found in the account's lists, and may still turn out to be
        another task's.
    :param has_lost: whether a submission before it was taken for never arrived, whose job may still show up.
    """

    place: str
    written_at: int
    prompt: str
    job: str = ""
    is_being_claimed: bool = False
    has_lost: bool = False

    @classmethod
    def of(cls, record: SubmissionRecord) -> RecordName:
        """Return the name under which a record is stored."""
        job = NO_JOB if record.state is not RecordState.INTENT else ""
        return cls(
            record.place.digest,
            int(record.intended_at.timestamp() * 1_000_000),
            short_prompt(record),
            job_digest(record.job_id) if record.job_id else job,
            record.state is RecordState.INTENT and record.job_id is not None,
            bool(record.lost),
        )

    @classmethod
    def read(cls, text: str) -> RecordName | None:
        """Read a Variable's name, ``None`` where it is no record's."""
        parts = text.removeprefix(RECORD_PREFIX).split("_")
        if not text.startswith(RECORD_PREFIX) or len(parts) not in (4, 5):
            return None
        place, written_at, prompt, job = parts[:4]
        more = parts[4].split("-") if len(parts) > 4 else ()
        try:
            moment = int(written_at, 16)
        except ValueError:
            return None
        return cls(place, moment, prompt, "" if job == PENDING else job, CLAIMING in more, LOST in more)

    def __str__(self) -> str:
        words = ((CLAIMING, self.is_being_claimed), (LOST, self.has_lost))
        more = [word for word, applies in words if applies]
        parts = [self.place, f"{self.written_at:x}", self.prompt, self.job or PENDING, "-".join(more)]
        return RECORD_PREFIX + "_".join(part for part in parts if part)


@dataclass(frozen=True)
class Claims:
    """
    Which task instance has which job, as far as the tasks of this Airflow say.

    :param names: of all records.
    :param shows_pending: whether the names tell who waits for a response.
    """

    names: Sequence[RecordName] = field(default_factory=tuple)
    shows_pending: bool = True

    def owners(self, job_id: str) -> set[str]:
        """Return the places that have a job."""
        digest = job_digest(job_id)
        return {name.place for name in self.names if name.job == digest}

    def pending(self, prompt: str) -> set[str]:
        """Return the places that have sent a request with this prompt, of which no job is known."""
        # A crash may have left a submission under two names; a place may still have an earlier submission's.
        have_job = {(name.place, name.written_at) for name in self.names if name.job}
        return {
            name.place
            for name in self.names
            if name.prompt == prompt and not name.job and (name.place, name.written_at) not in have_job
        }

    def of_other_submissions(self, name: RecordName) -> list[RecordName]:
        """Return what else the same task instance has recorded, of submissions before or after."""
        return [
            other for other in self.names if other.place == name.place and other.written_at != name.written_at
        ]

    def undecided(self, prompt: str) -> set[str]:
        """Return the places that may still have to tell jobs with this prompt from each other."""
        late = {
            name.place
            for name in self.names
            if name.prompt == prompt and (name.has_lost or name.is_being_claimed)
        }
        return self.pending(prompt) | late


def job_digest(job_id: str) -> str:
    """Return a short name for a job id, of which neither length nor characters are documented."""
    return digest_of(job_id)[:24]


def short_prompt(record: SubmissionRecord) -> str:
    """Return a short digest of the prompt, which requests that may be taken for each other share."""
    return record.fingerprint.prompt_digest[:16]
