"""
At most one paid POST for each wish, whatever crashes.

Pictory has no idempotency key, so a task writes down what it is about to do before it does it, and the job id
as soon as there is one. A later try reads that first, and only submits when it is certain that nothing is
there that was paid for already.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
)

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobFailedError,
    PictoryJobNotFoundError,
    PictoryLedgerError,
    PictorySpendingLimitError,
    PictorySubmissionUnknownError,
    PictorySubmissionUnresolvedError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.ledger import LedgerEntry, LedgerState, Standing, open_ledger
from airflow_provider_pictory.polling import NOT_FOUND_GRACE, look, may_pass, require_completed
from airflow_provider_pictory.reconciliation import Reconciliation, settles_in, ways_out
from airflow_provider_pictory.submission_rules import OnClear, OnUnknownSubmission
from airflow_provider_pictory.wish import Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.api import VideoRequest
    from airflow_provider_pictory.api.lists import NewestJob
    from airflow_provider_pictory.polling import Logger
    from airflow_provider_pictory.submission_rules import SubmissionRules

# How often a job id is tried to be written down before the task goes on without.
ATTEMPTS_TO_WRITE = 4
XCOM_RETURN_KEY = "return_value"
# How often a person's clear looks at a job before it gives up on finding out whether that is still running.
ATTEMPTS_TO_LOOK = 5
LONGEST_PAUSE_BETWEEN_LOOKS = 20.0


@dataclass(frozen=True)
class Submitted:
    """
    A job that belongs to the task.

    :param job_id: of the job.
    :param estimated_credits: what it was to cost, where known.
    :param pictory_conn_id: of the connection it was submitted over, which need not be today's.
    :param job: as it was seen just now, when it has its video already.
    """

    job_id: str
    estimated_credits: float | None
    pictory_conn_id: str
    job: VideoJob | None = None


class _Life(StrEnum):
    """What the present try is to what the ledger holds."""

    RETRY = "retry"
    CLEAR = "clear"
    NEW = "new"


class Submission:
    """
    The one submission of a task instance, over all its tries.

    :param context: Airflow's of the running task.
    :param hook: of the connection to submit over.
    :param make_request: makes the request of this try; only called where it matters what that is.
    :param rules: what the author of the DAG decided.
    :param log: of the task.
    :param pushes_result: whether Airflow pushes what the task returns.

    ``job_id`` is known from the moment of the answer on; ``is_under_way`` says that a POST may have been sent
    whose outcome isn't known.
    """

    def __init__(
        self,
        *,
        context: Context,
        hook: PictoryHook,
        make_request: Callable[[], VideoRequest],
        rules: SubmissionRules,
        log: Logger,
        pushes_result: bool = True,
    ) -> None:
        task_instance: Any = context["ti"]
        self._ledger = open_ledger(context)
        self._hook = hook
        self._make_request = make_request
        self._rules = rules
        self._log = log
        self._try_number = int(task_instance.try_number)
        self._max_tries = int(task_instance.max_tries)
        self._task_instance_id = str(getattr(task_instance, "id", None) or "")
        self._pushes_result = pushes_result
        # Airflow 3 says which XComs the try before has left, where it says anything.
        run = getattr(task_instance, "_ti_context_from_server", None)
        self._former_xcoms = frozenset(getattr(run, "xcom_keys_to_clear", None) or ())
        self.job_id: str | None = None
        self.is_under_way = False
        self._is_stopped = False

    def stop(self) -> None:
        """Submit nothing from now on; a task that is being killed may still run for seconds."""
        self._is_stopped = True

    def ensure(self) -> Submitted:
        """
        Give the task's job, submitting one only if there is none that counts.

        :raises PictoryLedgerError: what was submitted before can't be found out; nothing was submitted.
        :raises PictorySubmissionUnresolvedError: what became of a submission isn't known yet; a later try may
            find out.
        :raises PictorySubmissionUnknownError: it can't be found out.
        :raises PictoryJobError: there is a job, and it failed or was deleted.
        :raises PictorySpendingLimitError: a video would cost more than it may.
        :raises PictoryError: as :meth:`PictoryHook.submit_video`.
        """
        entry = self._ledger.read()
        life = self._life(entry)
        if entry is not None and entry.state is LedgerState.INTENDED:
            self.is_under_way = True
            is_new_wanted = life is _Life.CLEAR and self._rules.on_clear is OnClear.NEW
            entry = self._resolve(entry, is_new_wanted=is_new_wanted)
            # What was in doubt until now can't be what a person has seen the end of.
            life = _Life.CLEAR if is_new_wanted else _Life.RETRY
            self.is_under_way = False
        elif entry is not None and life is _Life.NEW:
            entry = self._begin_anew(entry)
        if entry is not None and entry.job_id is not None:
            chosen = self._chosen(entry, life)
            submitted = self._keep(chosen) if chosen is not None else None
            if submitted is not None:
                return submitted
        return self._submit(entry)

    def conclude(self, job: VideoJob) -> VideoJob:
        """
        Insist on a video, and note it if there is none.

        :param job: as it was last seen, ended.
        :raises PictoryError: there is no video, as :func:`require_completed`; to be retried if failed jobs
            are to be submitted again.
        """
        self.job_id = job.job_id
        try:
            return require_completed(job)
        except PictoryError as error:
            self._note(LedgerState.FAILED)
            if not isinstance(error, PictoryJobFailedError) or not self._rules.resubmit_failed:
                raise
            raise PictoryError(f"{error}; with resubmit_failed the next try submits another video") from error

    def note_delivery(self) -> None:
        """Note that the task has done all it is to do; to be called as late as can be."""
        self._note(LedgerState.DELIVERED)

    def _note(self, state: LedgerState) -> None:
        """Write down how the task ended. It ends that way whether or not this can be written."""
        try:
            entry = self._ledger.read()
        except PictoryLedgerError as error:
            self._log.warning("How job %s ended can't be noted: %s", self.job_id, error)
            return
        if entry is not None and entry.job_id == self.job_id:
            self._record(entry.but(state=state))

    def _life(self, entry: LedgerEntry | None) -> _Life:
        if entry is None or entry.try_number > self._try_number:
            return _Life.NEW
        if entry.try_number == self._try_number and (
            not self._task_instance_id or entry.task_instance_id != self._task_instance_id
        ):
            # Tries are counted upwards, so this is a DAG run that was deleted and made again.
            return _Life.NEW
        return _Life.RETRY if entry.max_tries == self._max_tries else _Life.CLEAR

    def _begin_anew(self, entry: LedgerEntry) -> LedgerEntry:
        """
        Leave a former life behind, of a run that was deleted and made again under its name.

        Written at once, since this life's second try couldn't tell it from the former one's.
        """
        anew = entry.but(
            state=LedgerState.REFUSED,
            try_number=self._try_number,
            max_tries=self._max_tries,
            task_instance_id=self._task_instance_id,
            job_id=None,
            accepted_at=None,
            candidates=None,
            earlier_jobs=entry.jobs_so_far,
        )
        self._ledger.write(anew)
        return anew

    def _chosen(self, entry: LedgerEntry, life: _Life) -> LedgerEntry | None:
        """Give the entry whose job this try goes on with, ``None`` if there is to be another job."""
        if life is _Life.NEW:
            return None
        if life is _Life.RETRY or self._rules.on_clear is OnClear.REATTACH:
            return entry
        chosen = self._wanted_after_clear(entry) if self._rules.on_clear is OnClear.AUTO else None
        if chosen is None:
            self._log.info("This task was cleared, so another video follows job %s", entry.job_id)
        return chosen

    def _wanted_after_clear(self, entry: LedgerEntry) -> LedgerEntry | None:
        """
        Find the job that a person who clears this task goes on with.

        Without retries a clear is how people recover, so a job that is still running is kept, and so is a
        video that the task hasn't delivered, unless it asks for another one by now. What it has delivered,
        and a failed job, is what they saw when they cleared, so they want another.

        :raises PictoryError: it can't be found out whether the job is still running.
        """
        job_id = entry.job_id or ""
        is_own = self._ledger.standing(job_id) is not Standing.OTHERS
        if not (is_own and self._is_same_wish(entry)):
            sibling_job = self._running_job_of_sibling(entry)
            if sibling_job is not None:
                return sibling_job
        if not is_own:
            self._log.info("Job %s now belongs to another task", job_id)
            return None
        if entry.state is LedgerState.FAILED:
            return None
        seen = self._look_patiently(entry)
        if isinstance(seen, VideoJob):
            is_owed = seen.status == JobStatus.COMPLETED and not self._was_delivered(entry)
            return entry if not seen.has_ended or (is_owed and self._is_same_wish(entry)) else None
        if not _is_not_found(seen):
            raise seen
        if self._is_young(entry):
            return entry
        raise _not_found(entry, seen)

    def _was_delivered(self, entry: LedgerEntry) -> bool:
        """Tell whether an earlier try ended well, as far as anybody can tell afterwards."""
        if entry.state is not LedgerState.DELIVERED:
            return False
        if self._pushes_result and self._former_xcoms:
            # What a task returns is pushed after it has noted its delivery, so a crash in between shows.
            return XCOM_RETURN_KEY in self._former_xcoms
        return True

    def _running_job_of_sibling(self, entry: LedgerEntry) -> LedgerEntry | None:
        """
        Find this wish's job with another instance of the mapped task, and take it over.

        When the order of what a task is mapped over changes before a clear, the wishes change places.
        """
        wish = self._wish
        for sibling in self._ledger.siblings() if wish else ():
            for earlier in reversed(sibling.jobs_so_far):
                if wish is None or earlier.fingerprint != wish.fingerprint:
                    continue
                seen = look(self._hook, earlier.job_id)
                if _is_not_found(seen):
                    continue
                if isinstance(seen, PictoryError):
                    raise seen
                if not seen.has_ended:
                    self._log.info(
                        "Job %s of another instance of this mapped task is for this very video",
                        earlier.job_id,
                    )
                    self._ledger.take_over(earlier.job_id)
                    return entry.but(
                        wish=wish,
                        state=LedgerState.ACCEPTED,
                        job_id=earlier.job_id,
                        accepted_at=None,
                        earlier_jobs=entry.jobs_so_far,
                    )
        return None

    def _keep(self, entry: LedgerEntry) -> Submitted | None:
        """Go on with a job, unless it failed and may be followed by another one."""
        job_id = self.job_id = entry.job_id or ""
        entry = entry.but(
            state=LedgerState.ACCEPTED,
            try_number=self._try_number,
            max_tries=self._max_tries,
            task_instance_id=self._task_instance_id,
        )
        # Otherwise a retry after this would look like a clear once more.
        self._record(entry)
        self._log.info("Going on with job %s, which was submitted before; nothing is paid again", job_id)
        if not self._is_same_wish(entry):
            self._log.warning(
                "This task now asks for something else than job %s was submitted for. The job is kept since "
                "it is paid for; to have the other video, clear this task once the job has ended",
                job_id,
            )
        seen = look(self._hook_of(entry), job_id)
        if isinstance(seen, VideoJob) and seen.has_ended:
            if seen.status == JobStatus.FAILED and self._rules.resubmit_failed:
                self._log.warning("Job %s failed, so another video is submitted", job_id)
                return None
            return Submitted(job_id, entry.estimated_credits, entry.wish.pictory_conn_id, self.conclude(seen))
        if isinstance(seen, PictoryError) and _is_not_found(seen):
            if not self._is_young(entry):
                raise _not_found(entry, seen)
        elif isinstance(seen, AirflowFailException):
            raise seen
        elif isinstance(seen, PictoryError):
            self._log.warning("A look at job %s failed, which says nothing about it: %s", job_id, seen)
        return Submitted(job_id, entry.estimated_credits, entry.wish.pictory_conn_id)

    def _resolve(self, entry: LedgerEntry, *, is_new_wanted: bool = False) -> LedgerEntry:
        """Find out what became of an intent, and give the entry that says so."""
        try:
            job_id = self._reconciliation(entry).job_id()
        except (PictorySubmissionUnknownError, PictorySubmissionUnresolvedError) as error:
            if not is_new_wanted and self._rules.on_unknown_submission is not OnUnknownSubmission.RESUBMIT:
                raise
            if isinstance(error, PictorySubmissionUnresolvedError) and not error.candidates:
                # Nobody has looked yet.
                raise
            self._log.warning("Submitting again, which may pay twice: %s", error)
            job_id = None
        if job_id is None:
            return entry.but(state=LedgerState.REFUSED)
        accepted = entry.but(state=LedgerState.ACCEPTED, job_id=job_id, accepted_at=datetime.now(UTC))
        self._record(accepted)
        self._ledger.keep_tidy(job_id)
        return accepted

    def _reconciliation(self, entry: LedgerEntry) -> Reconciliation:
        hook = self._hook_of(entry)
        base_url = hook.get_base_url()
        if base_url != entry.wish.base_url:
            raise PictorySubmissionUnknownError(
                f"This task submitted a video to {entry.wish.base_url}, and what became of it isn't known; "
                f"connection {entry.wish.pictory_conn_id!r} now leads to {base_url}, where that can't be "
                f"found out. Change its host back and clear this task. Or: {ways_out(())}"
            )
        return Reconciliation(
            entry, hook=hook, ledger=self._ledger, timeout=self._rules.reconcile_timeout, log=self._log
        )

    def _submit(self, earlier: LedgerEntry | None, *, is_again: bool = False) -> Submitted:
        request = self._make_request()
        self._guard_credits(request)
        wish = Wish.of(request, self._hook.pictory_conn_id, self._hook.get_base_url())
        for warning in request.warnings:
            self._log.warning(warning)
        newest = self._hook.newest_job()
        intents: list[LedgerEntry] = []

        def write_intent(over_at: datetime) -> None:
            if self._is_stopped:
                raise PictoryError("This task is being killed; nothing was submitted")
            # This worker may have been given up and replaced while it was stopped for a while.
            if _progress(self._ledger.read()) != _progress(intents[-1] if intents else earlier):
                raise PictoryLedgerError("Another try of this task has taken over; nothing was submitted")
            intent = self._intent(wish, newest, over_at, request.estimated_credits, earlier)
            self._ledger.write(intent)
            intents.append(intent)
            self.is_under_way = True

        self._log.info("Submitting a video to Pictory: %s", request)
        try:
            job_id = self._hook.submit_video(request, before_attempt=write_intent)
        except PictorySubmissionUnknownError as error:
            if error.job_id is not None:
                self._accept(intents[-1], error.job_id)
            if error.interruption is not None:
                # Airflow knows what to do with it, and the next try what to do with the intent.
                raise error.interruption from None
            if error.job_id is not None:
                raise
            return self._after_silence(intents[-1], error, is_again=is_again)
        except PictoryError as error:
            self.is_under_way = False
            if intents and not isinstance(error, PictoryLedgerError):
                self._close(intents[-1])
            raise
        self._accept(intents[-1], job_id)
        return Submitted(job_id, request.estimated_credits, wish.pictory_conn_id)

    def _intent(
        self,
        wish: Wish,
        newest: NewestJob,
        over_at: datetime,
        estimated_credits: float | None,
        earlier: LedgerEntry | None,
    ) -> LedgerEntry:
        return LedgerEntry(
            state=LedgerState.INTENDED,
            wish=wish,
            try_number=self._try_number,
            max_tries=self._max_tries,
            task_instance_id=self._task_instance_id,
            intended_at=datetime.now(UTC),
            over_at=over_at,
            server_time=newest.server_time,
            baseline=newest.kind,
            newest_job_id=newest.job_id,
            estimated_credits=estimated_credits,
            earlier_jobs=earlier.jobs_so_far if earlier else (),
        )

    def _accept(self, intent: LedgerEntry, job_id: str) -> None:
        self.job_id = job_id
        self.is_under_way = False
        # Logged before anything else can fail, so that the id of what is paid for can always be found.
        self._log.info("Pictory accepted the video as job %s", job_id)
        try:
            # Before the id is written down: after a crash in between, a claim says as much as that, while
            # without one another task with the same prompt could take the job for its own.
            self._ledger.take_over(job_id)
        except PictoryLedgerError as error:
            self._log.warning("Other tasks may take job %s for theirs: %s", job_id, error)
        self._record(intent.but(state=LedgerState.ACCEPTED, job_id=job_id, accepted_at=datetime.now(UTC)))
        self._ledger.keep_tidy(job_id)

    def _close(self, intent: LedgerEntry) -> None:
        """Write down that nothing came of an intent, unless another try has taken over meanwhile."""
        try:
            if _progress(self._ledger.read()) == _progress(intent):
                self._record(intent.but(state=LedgerState.REFUSED))
        except PictoryLedgerError as error:
            self._log.warning("That nothing was submitted can't be written down: %s", error)

    def _after_silence(
        self, intent: LedgerEntry, error: PictorySubmissionUnknownError, *, is_again: bool
    ) -> Submitted:
        """Leave it to the next try to find out what became of a POST, or do it here if there is none."""
        if is_again or self._try_number <= self._max_tries:
            raise PictorySubmissionUnresolvedError(
                f"{error} The next try of this task, a retry or a clear, finds out what became of it, and "
                "submits again only if it never arrived.",
                retry_after=settles_in(intent),
            ) from error
        self._log.warning(
            "%s There is no retry left to find out what became of it, so it is done here", error
        )
        entry = self._resolve(intent)
        self.is_under_way = False
        submitted = self._keep(entry) if entry.job_id is not None else None
        return submitted or self._submit(entry, is_again=True)

    def _guard_credits(self, request: VideoRequest) -> None:
        """Refuse what costs too much, before anything is paid."""
        needed, most = request.estimated_credits, self._rules.max_credits
        if most is not None and (needed is None or needed > most):
            cost = "what this video costs can't be estimated"
            if needed is not None:
                cost = f"this video would cost about {needed:g} AI credits"
            raise PictorySpendingLimitError(
                f"max_credits: {cost} ({request}), and at most {most:g} AI credits may be spent. Nothing was "
                "submitted; choose a shorter duration or a cheaper model, or raise max_credits"
            )
        if not self._rules.check_quota:
            return
        quota = self._hook.get_quota()
        if quota.ai_credits_left < (needed or 0) or not quota.ai_credits_left:
            raise PictoryInsufficientCreditsError(
                f"Nothing was submitted: {quota.ai_credits_used:,.12g} of {quota.ai_credits_limit:,.12g} AI "
                f"credits are used, so {quota.ai_credits_left:,.12g} are left, and this video needs "
                f"{'an unknown number' if needed is None else f'about {needed:g}'} ({request})"
            )

    def _record(self, entry: LedgerEntry) -> None:
        """Write what is already true, and go on without if that can't be written."""
        attempts = Retrying(
            retry=retry_if_exception_type(PictoryLedgerError),
            stop=stop_after_attempt(ATTEMPTS_TO_WRITE),
            wait=wait_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )
        try:
            attempts(self._ledger.write, entry)
        except PictoryLedgerError as error:
            self._log.warning(
                "%s; should this task be interrupted, its next try has to find out from Pictory's lists "
                "whether there is a job",
                error,
            )

    def _look_patiently(self, entry: LedgerEntry) -> VideoJob | PictoryError:
        hook = self._hook_of(entry)
        attempts = Retrying(
            retry=retry_if_result(lambda seen: isinstance(seen, PictoryError) and may_pass(seen)),
            stop=stop_after_attempt(ATTEMPTS_TO_LOOK),
            wait=wait_exponential(multiplier=2.0, max=LONGEST_PAUSE_BETWEEN_LOOKS),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        return attempts(look, hook, entry.job_id or "")

    def _hook_of(self, entry: LedgerEntry) -> PictoryHook:
        """Give the hook of the connection that the entry's job was submitted over."""
        if entry.wish.pictory_conn_id == self._hook.pictory_conn_id:
            return self._hook
        return PictoryHook(entry.wish.pictory_conn_id)

    @cached_property
    def _wish(self) -> Wish | None:
        """Describe what this try asks for, ``None`` where that makes no request."""
        try:
            request = self._make_request()
        except PictoryInvalidRequestError:
            return None
        except Exception as error:  # noqa: BLE001  (of a function that a DAG's author wrote)
            # What is paid for isn't lost because of it; a submission meets it again.
            self._log.warning("What this task asks for now can't be found out: %r", error)
            return None
        return Wish.of(request, self._hook.pictory_conn_id, self._hook.get_base_url())

    def _is_same_wish(self, entry: LedgerEntry) -> bool:
        wish = self._wish
        return wish is not None and wish.fingerprint == entry.wish.fingerprint

    def _is_young(self, entry: LedgerEntry) -> bool:
        """Tell whether a job may still be unknown to a server that didn't create it."""
        age = datetime.now(UTC) - entry.accepted_at if entry.accepted_at else timedelta.max
        return age < timedelta(seconds=NOT_FOUND_GRACE)


def _progress(entry: LedgerEntry | None) -> tuple[datetime, str | None] | None:
    return (entry.intended_at, entry.job_id) if entry else None


def _is_not_found(seen: VideoJob | PictoryError) -> bool:
    """Tell a 404, also one without Pictory's words, which whatever answers there now may send."""
    return isinstance(seen, PictoryAPIError) and (
        isinstance(seen, PictoryJobNotFoundError) or seen.status_code == 404
    )


def _not_found(entry: LedgerEntry, seen: PictoryError) -> PictoryJobNotFoundError:
    return PictoryJobNotFoundError(
        f"{seen} This task submitted it to {entry.wish.base_url} over connection "
        f"{entry.wish.pictory_conn_id!r}. Nothing was submitted again; correct the connection and clear this "
        "task, or set on_clear='new' and clear it to pay for another video",
        status_code=404,
    )
