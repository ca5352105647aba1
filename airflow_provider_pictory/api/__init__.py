"""
Pictory without Airflow and without I/O: requests, models and their limits, cost, jobs, what a response means.

Everything here is plain Python, so that the synchronous and the asynchronous side of the hook, the sandbox
and a user's own scripts share one reading of Pictory's API. Each part is loaded when it is first asked for:
while a DAG file is parsed, next to nothing of it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_pictory.api.errors import ResponseError, ResponseErrorKind
    from airflow_provider_pictory.api.jobs import JobStatus, VideoJob
    from airflow_provider_pictory.api.models import MODEL_LIMITS, ModelLimits, VideoModel
    from airflow_provider_pictory.api.responses import Quota, Response
    from airflow_provider_pictory.api.validation_errors import FieldError, InvalidRequestError
    from airflow_provider_pictory.api.video_request import VideoRequest

__all__ = [
    "MODEL_LIMITS",
    "FieldError",
    "InvalidRequestError",
    "JobStatus",
    "ModelLimits",
    "Quota",
    "Response",
    "ResponseError",
    "ResponseErrorKind",
    "VideoJob",
    "VideoModel",
    "VideoRequest",
]

_MODULES = {
    "errors": ("ResponseError", "ResponseErrorKind"),
    "responses": ("Response", "Quota"),
    "validation_errors": ("FieldError", "InvalidRequestError"),
    "jobs": ("JobStatus", "VideoJob"),
    "models": ("MODEL_LIMITS", "ModelLimits", "VideoModel"),
    "video_request": ("VideoRequest",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
