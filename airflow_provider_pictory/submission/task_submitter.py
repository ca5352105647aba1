"""The submission of a task that makes one video, and the record that it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_pictory import clock as clocks
from airflow_provider_pictory.exceptions import PictoryError
from airflow_provider_pictory.submission.attempt import Attempt
from airflow_provider_pictory.submission.record import RecordState
from airflow_provider_pictory.submission.recording import Recording
from airflow_provider_pictory.submission.store import open_store
from airflow_provider_pictory.submission.submitter import Submitter
from airflow_provider_pictory.submission.task_states import why_success_is_lost
from airflow_provider_pictory.submission.tidying import Tidier

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pictory.clock import Clock
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.submission.policy import SubmissionPolicy
    from airflow_provider_pictory.task_log import Logger


class TaskSubmitter(Submitter):
    """
    The one submission of a task instance, over all its tries.

    :param context: Airflow's of the running task.
    :param hook: of the connection to submit over.
    :param policy: what the author of the DAG decided.
    :param log: of the task.
    :param pushes_result: whether Airflow pushes what the task returns.
    :param waits: whether the task waits for the job's end.
    :param clock: the clock to use; the system's by default.
    """

    def __init__(
        self,
        *,
        context: Context,
        hook: PictoryHook,
        policy: SubmissionPolicy,
        log: Logger,
        pushes_result: bool = True,
        waits: bool = True,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or clocks.SYSTEM_CLOCK
        attempt = Attempt.of(context["ti"], pushes_result=pushes_result)
        store = open_store(context, has_earlier_tries=attempt.try_number > 1)
        tidier = Tidier(context, store, hook=hook, log=log, clock=clock)
        super().__init__(
            attempt=attempt,
            store=store,
            recording=Recording(store, tidier, clock=clock, log=log),
            hook=hook,
            policy=policy,
            log=log,
            clock=clock,
            ends_when_accepted=not waits and attempt.shows_delivery,
        )
        self._context = context

    def note_delivery(self, *, has_ended: bool = False) -> None:
        """
        Record that the task has done all it is to do; call it as late as possible.

        :param has_ended: whether the job has ended.
        :raises PictoryError: Airflow won't take this try's success, since it is being killed, or a person has
            cleared it or set its state; what it returned would make the next try believe that the video was
            delivered.
        """
        why = "it is being killed" if self._is_stopped else None
        if why := why or why_success_is_lost(self._context, self._store.place, self._log):
            raise PictoryError(
                f"This task has to end, since {why}; a retry or a clear of it goes on with job {self.job_id}"
            )
        if not self._ends_when_accepted:
            self._recording.retire(self.job_id, state=RecordState.DELIVERED, has_ended=has_ended)
        else:
            self._recording.leave()
