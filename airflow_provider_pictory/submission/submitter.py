"""
At most one paid POST for each video, whatever crashes.

Pictory has no idempotency key, so a task records what it is about to submit before it does so, and the job id
as soon as there is one. A later try reads that first, and only submits when it is certain that nothing was
paid for already.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import JobStatus, VideoJob, VideoRequest
from airflow_provider_pictory.api.redaction import clean
from airflow_provider_pictory.exceptions import (
    PictoryError,
    PictoryInvalidRequestError,
    PictoryJobFailedError,
    PictoryRecordError,
    PictoryRedirectedError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.outcome import poll, require_completed
from airflow_provider_pictory.submission.attempt import (
    Attempt,
    Reattach,
    Reconcile,
    Submit,
    decide,
    is_not_found,
)
from airflow_provider_pictory.submission.credits import guard_credits
from airflow_provider_pictory.submission.fingerprint import RequestFingerprint
from airflow_provider_pictory.submission.intents import Intents, draft
from airflow_provider_pictory.submission.policy import OnClear
from airflow_provider_pictory.submission.reconcile import settles_in
from airflow_provider_pictory.submission.record import CloseReason, RecordState, SubmissionRecord
from airflow_provider_pictory.submission.recorded_job import Submitted, is_young, not_found, poll_for_decision
from airflow_provider_pictory.submission.unknown_outcome import find_outcome

if TYPE_CHECKING:
    from airflow_provider_pictory.clock import Clock, Moment
    from airflow_provider_pictory.submission.account_pages import AccountPages
    from airflow_provider_pictory.submission.policy import SubmissionPolicy
    from airflow_provider_pictory.submission.recording import Recording
    from airflow_provider_pictory.submission.store import RecordStore
    from airflow_provider_pictory.task_log import Logger

# A record that was read so many seconds ago is still this try's: Airflow takes longer to replace a try that
# it hears nothing of.
FRESH = 5.0


class Submitter:
    """
    The one submission of a video, over all tries of its task.

    :param attempt: the present try.
    :param store: of the video's record.
    :param recording: writes down what becomes known.
    :param hook: of the connection to submit over.
    :param policy: what the author of the DAG decided.
    :param log: of the task.
    :param clock: the clock to use.
    :param ends_when_accepted: whether its task ends once there is a job, which Airflow shows afterwards.
    :param is_one_of_many: whether other videos wait for their turn, so that a later call finds out what
        became of a POST, and no line says what is about to be submitted.
    :param read_at: when it was last certain that no other try has taken over; by default when the record is
        read.
    :param pages: what was read of the account's lists, where nothing is to be waited for.

    ``read_at`` is when it was last certain that no other try has taken over. ``job_id`` is known from the
    moment of the response on; ``is_under_way`` says that a POST may have been sent whose outcome isn't known.
    """

    def __init__(
        self,
        *,
        attempt: Attempt,
        store: RecordStore,
        recording: Recording,
        hook: PictoryHook,
        policy: SubmissionPolicy,
        log: Logger,
        clock: Clock,
        ends_when_accepted: bool = False,
        is_one_of_many: bool = False,
        read_at: Moment | None = None,
        pages: AccountPages | None = None,
    ) -> None:
        self._attempt = attempt
        self._store = store
        self._recording = recording
        self._hook = hook
        self._policy = policy
        self._log = log
        self._clock = clock
        self._ends_when_accepted = ends_when_accepted
        self._is_one_of_many = is_one_of_many
        self._is_read_before = read_at is not None
        self.read_at = read_at or clock.moment()
        self._pages = pages
        self.job_id: str | None = None
        self.is_under_way = False
        self._is_stopped = False

    def stop(self) -> None:
        """Submit nothing from now on; a task that is being killed may still run for seconds."""
        self._is_stopped = True

    def ensure(self, request: VideoRequest | Exception, *, ended: VideoJob | None = None) -> Submitted:
        """
        Return the task's job, submitting one only if there is none that counts.

        :param request: of this try; the error that making it ended in is raised only where it is needed.
        :param ended: the record's job, where it was seen ended before and needn't be polled.
        :raises PictoryRecordError: what was submitted before can't be found out; nothing was submitted.
        :raises PictorySubmissionPendingError: what became of a submission isn't known yet; a later try may
            find out.
        :raises PictorySubmissionIndeterminateError: it can't be found out.
        :raises PictoryJobError: there is a job, and it failed or was deleted.
        :raises PictorySpendingLimitError: a video would cost more than it may.
        :raises PictoryError: as :meth:`PictoryHook.submit_video`.
        """
        record = self._store.read(is_first_try=self._attempt.is_first)
        if not self._is_read_before:
            self.read_at = self._clock.moment()
        fingerprint = self._fingerprint(request) if record is not None else None
        # What ended may be the job before, if a try crashed before it could note more than the new one's id.
        if ended is not None and record is not None and ended.job_id == record.job_id:
            polled: VideoJob | PictoryError | None = ended
        else:
            polled = poll_for_decision(
                record, self._attempt, self._policy, hook_of=self._hook_of, clock=self._clock
            )
        decision = decide(record, self._attempt, self._policy, fingerprint, polled)
        if isinstance(decision, Reconcile):
            decision = self._reconcile(decision)
        if isinstance(decision, Reattach):
            return self._reattach(decision.record, request, fingerprint, polled)
        return self._submit(decision, request)

    def conclude(self, job: VideoJob) -> VideoJob:
        """
        Return the job if it has a video; otherwise record that, and raise.

        :param job: as it was last seen, ended.
        :raises PictoryError: there is no video, as :func:`require_completed`; to be retried if failed jobs
            are to be submitted again.
        """
        self.job_id = job.job_id
        try:
            return require_completed(job)
        except PictoryError as error:
            self._recording.retire(
                self.job_id, state=RecordState.CLOSED, reason=CloseReason.JOB_FAILED, has_ended=True
            )
            if not isinstance(error, PictoryJobFailedError) or not self._policy.resubmit_failed:
                raise
            raise PictoryError(f"{error}; with resubmit_failed the next try submits another video") from error

    # What was submitted before

    def _reattach(
        self,
        record: SubmissionRecord,
        request: VideoRequest | Exception,
        fingerprint: str | None,
        polled: VideoJob | PictoryError | None,
    ) -> Submitted:
        job_id = self.job_id = record.job_id or ""
        conn_id = record.fingerprint.pictory_conn_id
        self._recording.note(
            reattached(record, self._attempt, self._policy, ends_when_accepted=self._ends_when_accepted)
        )
        self._log.info("Going on with job %s, which was submitted before; nothing is paid again", job_id)
        if fingerprint != record.fingerprint.digest:
            self._say_that_the_request_changed(job_id, request)
        polled = poll(self._hook_of(record), job_id) if polled is None else polled
        if isinstance(polled, VideoJob) and polled.has_ended:
            if polled.status == JobStatus.FAILED and self._policy.resubmit_failed:
                return self._submit(
                    Submit(record, f"Job {job_id} failed, so another video is submitted"), request
                )
            return Submitted(job_id, record.estimated_credits, conn_id, self.conclude(polled))
        if isinstance(polled, PictoryError) and is_not_found(polled):
            if not is_young(record, self._clock):
                raise not_found(record, polled)
        elif isinstance(polled, AirflowFailException) and not isinstance(polled, PictoryRedirectedError):
            raise polled
        elif isinstance(polled, PictoryError):
            self._log.warning("A poll of job %s failed, which says nothing about the job: %s", job_id, polled)
        return Submitted(job_id, record.estimated_credits, conn_id)

    def _say_that_the_request_changed(self, job_id: str, request: VideoRequest | Exception) -> None:
        if isinstance(request, Exception) and not isinstance(request, PictoryInvalidRequestError):
            # Not raised, since what is paid for must not be lost; a new submission would raise it.
            self._log.warning("What this task asks for now can't be found out: %s", clean(repr(request)))
        self._log.warning(
            "This task now asks for something else than job %s was submitted for. The job is kept since "
            "it is paid for; to have the other video, clear this task once the job has ended",
            job_id,
        )

    def _reconcile(self, decision: Reconcile) -> Reattach | Submit:
        """Find out what became of an intent, and decide again."""
        self.is_under_way = True
        record = self._find_outcome(decision.record, is_new_wanted=decision.is_new_wanted)
        self.is_under_way = False
        if record.job_id is None or decision.is_new_wanted:
            return Submit(record)
        # What was unknown until now can't be what a person has seen the end of.
        return Reattach(record)

    def _find_outcome(
        self, intent: SubmissionRecord, *, is_new_wanted: bool = False, is_own_intent: bool = False
    ) -> SubmissionRecord:
        return find_outcome(
            intent,
            hook=self._hook_of(intent),
            store=self._store,
            policy=self._policy,
            clock=self._clock,
            log=self._log,
            is_new_wanted=is_new_wanted,
            is_own_intent=is_own_intent,
            pages=self._pages,
        )

    # A new submission

    def _submit(
        self, decision: Submit, request: VideoRequest | Exception, *, is_again: bool = False
    ) -> Submitted:
        if decision.reason:
            self._log.info("%s", decision.reason)
        previous = self._recording.without_previous_run(decision.previous, self._attempt)
        if isinstance(request, Exception):
            raise request
        guard_credits(request, self._policy, self._hook)
        fingerprint = self._fingerprint_of(request)
        for warning in request.warnings:
            self._log.warning(warning)
        intents = Intents(
            draft(
                self._store.place,
                self._attempt,
                fingerprint,
                previous,
                intended_at=self._clock.now(),
                estimated_credits=request.estimated_credits,
                ends_when_accepted=self._ends_when_accepted,
                is_kept=self._policy.on_clear is OnClear.REATTACH,
            ),
            store=self._store,
            hook=self._hook,
            clock=self._clock,
        )
        if not self._is_one_of_many:
            self._log.info("Submitting a video to Pictory: %s", request)
        try:
            job_id = self._hook.submit_video(request, before_attempt=partial(self._before_post, intents))
        except PictorySubmissionIndeterminateError as error:
            return self._after_silence(intents.last, request, error, is_again=is_again)
        except PictoryError as error:
            self.is_under_way = False
            if intents.written and not isinstance(error, PictoryRecordError):
                self._recording.close(intents.last)
            raise
        self._accept(intents.last, job_id)
        return Submitted(job_id, request.estimated_credits, fingerprint.pictory_conn_id)

    def _before_post(self, intents: Intents, time_limit: float) -> None:
        if self._is_stopped:
            raise PictoryError("This task is being killed; nothing was submitted")
        if self._clock.seconds_since(self.read_at) > FRESH:
            self._store.insist_on_no_other_try()
            self.read_at = self._clock.moment()
        intents.write(time_limit)
        self.is_under_way = True

    def _accept(self, intent: SubmissionRecord, job_id: str) -> None:
        self.job_id = job_id
        self.is_under_way = False
        # Logged before anything else can fail, so that the id of what is paid for can always be found.
        self._log.info("Pictory accepted the video as job %s", job_id)
        self._recording.note(intent.accepted(job_id, self._clock.now()))

    def _after_silence(
        self,
        intent: SubmissionRecord,
        request: VideoRequest,
        error: PictorySubmissionIndeterminateError,
        *,
        is_again: bool,
    ) -> Submitted:
        """Leave it to the next try to find out what became of a POST, or do it here if there is none."""
        if error.job_id is not None:
            self._accept(intent, error.job_id)
        if error.interruption is not None:
            # Airflow knows what to do with it, and the next try what to do with the intent.
            raise error.interruption from None
        if error.job_id is not None:
            raise error
        if is_again or self._is_one_of_many or self._attempt.has_retry_left:
            raise PictorySubmissionPendingError(
                f"{error} The next try of this task, a retry or a clear, finds out what became of it, and "
                "submits again only if it never arrived.",
                retry_after=settles_in(intent, own_now=self._clock.now()),
            ) from error
        self._log.warning(
            "%s There is no retry left to find out what became of it, so it is done here", error
        )
        record = self._find_outcome(intent, is_own_intent=True)
        self.is_under_way = False
        if record.job_id is None:
            return self._submit(Submit(record), request, is_again=True)
        return self._reattach(record, request, record.fingerprint.digest, None)

    def _hook_of(self, record: SubmissionRecord) -> PictoryHook:
        """Return the hook of the connection that the record's job was submitted over."""
        if record.fingerprint.pictory_conn_id == self._hook.pictory_conn_id:
            return self._hook
        return PictoryHook(record.fingerprint.pictory_conn_id)

    def _fingerprint(self, request: VideoRequest | Exception) -> str | None:
        return None if isinstance(request, Exception) else self._fingerprint_of(request).digest

    def _fingerprint_of(self, request: VideoRequest) -> RequestFingerprint:
        return RequestFingerprint.of(request, self._hook.pictory_conn_id, self._hook.get_base_url())


def reattached(
    record: SubmissionRecord, attempt: Attempt, policy: SubmissionPolicy, *, ends_when_accepted: bool = False
) -> SubmissionRecord:
    """Return the record of a try that goes on with the job of those before it."""
    return attempt.sign(record).but(
        state=RecordState.ACCEPTED,
        reason=None,
        ends_when_accepted=ends_when_accepted,
        is_kept=policy.on_clear is OnClear.REATTACH,
    )
