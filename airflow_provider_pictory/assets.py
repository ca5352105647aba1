"""Asset events that say which video a task made, for the DAGs that are scheduled on the assets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_pictory.api.redaction import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)


def describe_video(
    outlets: Iterable[object],
    context: Context,
    *,
    job_id: str,
    seconds: float | None = None,
    ai_credits: float | None = None,
    path: str | None = None,
) -> None:
    """
    Say in the events of a task's assets which video they are about.

    Airflow makes the events when the task succeeds, with what is said here as their ``extra``: ``job_id``,
    ``seconds`` and ``credits``, the latter two ``None`` where unknown, and ``path`` where there is one. The
    video's URL is left out, since anybody who has it can get the video, and since it can expire.

    For an alias there is no event unless the author of the DAG adds one. An outlet that can't be described,
    such as a reference to an asset that isn't there, keeps its plain event, so that the task doesn't fail.

    :param outlets: of the task, of all kinds.
    :param context: Airflow's of the running task.
    :param job_id: of the video's job.
    :param seconds: duration of the video.
    :param ai_credits: what the video cost.
    :param path: where the video was saved.
    """
    _describe(outlets, context, {"job_id": job_id, "seconds": seconds, "credits": ai_credits}, path)


def describe_videos(
    outlets: Iterable[object], context: Context, videos: Sequence[Mapping[str, Any]], path: str | None = None
) -> None:
    """
    Say in the events of a task's assets how many videos the task made.

    Their ``extra`` has ``videos``, their number, ``seconds`` and ``credits``, the sums as far as they are
    known, and ``path`` where there is one. Which videos they are is in what the task returns.

    :param outlets: of the task, of all kinds.
    :param context: Airflow's of the running task.
    :param videos: what the task returns for each finished video.
    :param path: of the manifest's file, or of the videos as it was given.
    """
    sums = {
        "seconds": _sum_of(videos, "seconds", "duration_seconds"),
        "credits": _sum_of(videos, "ai_credits_used"),
    }
    _describe(outlets, context, {"videos": len(videos), **sums}, path)


def _sum_of(videos: Sequence[Mapping[str, Any]], *names: str) -> float:
    return round(sum(video.get(name) or 0.0 for video in videos for name in names), 2)


def _describe(
    outlets: Iterable[object], context: Context, facts: Mapping[str, Any], path: str | None
) -> None:
    extra = dict(facts) if path is None else {**facts, "path": path}
    for outlet in outlets:
        if isinstance(outlet, _asset_kinds()):
            try:
                events: Any = context["outlet_events"]
                events[outlet].extra.update(extra)
            except Exception as error:  # noqa: BLE001  (see above)
                log.warning("The event of %r can't say what came: %s", outlet, clean(repr(error)))


def _asset_kinds() -> tuple[type, ...]:
    try:
        from airflow.sdk.definitions.asset import AssetRef
    except ImportError:
        # Airflow 2 has no references.
        return (Asset,)
    return (Asset, AssetRef)
