"""
Pictory without Airflow and without I/O: requests, models and their limits, cost, jobs, what an answer means.

Everything here is plain Python, so that the synchronous and the asynchronous side of the hook, the sandbox
and a user's own scripts share one reading of Pictory's API.
"""

from airflow_provider_pictory.api.answers import Answer, AnswerError, AnswerErrorKind, Quota
from airflow_provider_pictory.api.faults import FieldFault, InvalidRequestError
from airflow_provider_pictory.api.jobs import JobStatus, VideoJob
from airflow_provider_pictory.api.models import MODEL_LIMITS, ModelLimits, VideoModel
from airflow_provider_pictory.api.video_request import VideoRequest

__all__ = [
    "MODEL_LIMITS",
    "Answer",
    "AnswerError",
    "AnswerErrorKind",
    "FieldFault",
    "InvalidRequestError",
    "JobStatus",
    "ModelLimits",
    "Quota",
    "VideoJob",
    "VideoModel",
    "VideoRequest",
]
