"""
The tree of errors: one for each thing that a user would handle differently.

Errors that no retry can resolve also derive from ``AirflowFailException``, so that Airflow fails the task at
once whatever its ``retries`` says. All others follow Airflow's usual rules for retries.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
)


class PictoryError(AirflowException):
    """Anything that went wrong with Pictory; catch this to catch all of them."""


class PictoryConfigurationError(AirflowFailException, PictoryError):
    """The Airflow connection is missing, or holds something that can't be used."""


class PictoryInvalidRequestError(AirflowFailException, PictoryError):
    """
    The arguments break a rule of Pictory's; found here before anything was sent, or by Pictory itself.

    :param message: names each field, what was given and what is allowed.
    """


class PictorySpendingLimitError(AirflowFailException, PictoryError):
    """A video would cost more AI credits than the author of the DAG allows."""


class PictoryAPIError(PictoryError):
    """
    A call got an unexpected response, or none at all. Trying again may help.

    :param message: a sentence with Pictory's own words where it gave any.
    :param status_code: the HTTP status, or ``None`` when no response came.
    :param code: Pictory's code of the error, where it gave one.
    :param retry_after: seconds that Pictory asked to wait, where it said so.
    """

    # Airflow's base class has a class attribute of this name, an HTTPStatus for its own API server.
    status_code: int | None  # type: ignore[assignment]

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.retry_after = retry_after


class PictoryRedirectedError(PictoryConfigurationError, PictoryAPIError):
    """
    The connection's host responds with a redirect, which isn't followed: another host has to be set.

    While a job is polled, a temporary redirect is tolerated, since a network's login page may send one.
    """


class PictoryRateLimitedError(PictoryAPIError):
    """Pictory asked for fewer requests (429); ``retry_after`` says for how many seconds, if known."""


class PictoryAuthenticationError(AirflowFailException, PictoryAPIError):
    """Pictory refused the API key (401)."""


class PictoryInsufficientCreditsError(AirflowFailException, PictoryAPIError):
    """The account is out of AI credits. Only its owner can change that."""


class PictoryJobNotFoundError(AirflowFailException, PictoryAPIError):
    """Pictory knows no job of this id; perhaps it belongs to another account than the connection's."""


class PictoryRecordError(PictoryError):
    """The record of what a task has submitted can't be read or written; nothing was submitted without it."""


class PictoryBatchError(PictoryError):
    """Items of a batch, or of a list to save, have no video; the others are done, and stay so in a retry."""


class PictoryBatchFailedError(AirflowFailException, PictoryBatchError):
    """Items of a batch have no video, and a retry could change nothing, so Airflow makes none."""


class PictorySubmissionIndeterminateError(AirflowFailException, PictoryError):
    """
    A video was submitted, and nothing says whether Pictory took it, so it may be made and paid for.

    Never retried by Airflow, since a retry could pay a second time.

    :param message: what is known, and the ways out.
    :param job_id: the job's, where a response came but couldn't be used.
    :param interruption: what ended the call from outside, such as Airflow's timeout of a task.
    """

    def __init__(
        self, message: str, *, job_id: str | None = None, interruption: BaseException | None = None
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.interruption = interruption


class PictorySubmissionPendingError(PictoryError):
    """
    A video was submitted, and it isn't known yet whether Pictory took it. The next try finds out.

    :param message: what is known so far.
    :param retry_after: seconds after which a try can find out.
    :param candidates: ids of the jobs that may have come from the submission, where there are any.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, candidates: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.candidates = candidates


class PictoryJobError(AirflowFailException, PictoryError):
    """
    A job was accepted but there is no video.

    :param message: a sentence with the job id.
    :param job_id: of the job.
    """

    def __init__(self, message: str, *, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class PictoryJobFailedError(PictoryJobError):
    """
    Pictory gave up on the job.

    :param message: a sentence with the job id and Pictory's words.
    :param job_id: of the job.
    :param error_code: Pictory's code of the failure, where it gave one.
    """

    def __init__(self, message: str, *, job_id: str = "", error_code: str | None = None) -> None:
        super().__init__(message, job_id=job_id)
        self.error_code = error_code


class PictoryJobExpiredError(PictoryJobError):
    """The job ended, but its video was deleted at Pictory (status ``cleaned``)."""


class PictoryJobTimedOutError(PictoryJobError):
    """
    The wait ended before the job was known to have ended: if the job is running, it continues and is paid
    for.

    Like Airflow's own sensor timeout it is not retried.
    """


class PictoryExecutionTimeoutError(AirflowTaskTimeout, PictoryError):
    """
    The task's ``execution_timeout`` passed before the job was known to have ended.

    As after Airflow's own error for it, a retry follows where one is left, and waits for the same job.

    :param message: a sentence with the job id.
    :param job_id: of the job.
    """

    def __init__(self, message: str, *, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class PictoryJobUnfinishedError(PictoryError):
    """The job has no video yet; put a sensor before the task, or let a retry find the job finished."""


class PictoryDownloadError(PictoryError):
    """A finished video couldn't be downloaded, or what came isn't that video. Trying again may help."""


class PictoryStorageError(PictoryError):
    """A video can't be written to its destination, or what is there can't be read."""


class PictoryFileExistsError(AirflowFailException, PictoryError):
    """Another file is where a video is to be written, and ``overwrite`` doesn't allow replacing it."""
