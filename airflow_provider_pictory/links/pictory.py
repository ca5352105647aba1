"""
The buttons of a task in Airflow's UI: one plays the finished video, another opens Pictory.

Loaded whenever a DAG file is parsed, so whatever only a button needs is imported where it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

# Pictory doesn't document where in its application a job of the API shows.
DASHBOARD_URL = "https://app.pictory.ai/"

# The XComs in which our tasks leave their result, the more specific one first.
RESULT_KEYS = ("video", "return_value")

NOWHERE = ""


class PlayVideoLink(BaseOperatorLink):
    """
    Play the finished video.

    Its address is the result's ``url``, which needs no key and can expire. While there is no video there is
    no address: Airflow 3 shows no button then, Airflow 2 one that says so.
    """

    name = "Play video"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the address, or an empty text while there is none.

        Airflow 3 asks on the worker, whenever the task stops there, and keeps the result for its UI. Airflow
        2 asks on the webserver, which only has the XComs.

        :param operator: the task, as the worker ran it or as the webserver read it.
        :param ti_key: of which run, and of which map index.
        """
        if hasattr(operator, "video_url"):
            return operator.video_url or NOWHERE
        from airflow.providers.common.compat.sdk import XCom

        from airflow_provider_pictory.api.jobs import read_url

        for key in RESULT_KEYS:
            result = XCom.get_value(ti_key=ti_key, key=key)
            if isinstance(result, Mapping):
                return read_url(result.get("url")) or NOWHERE
        return NOWHERE


class PictoryDashboardLink(BaseOperatorLink):
    """Open Pictory's own application, whoever is logged in there."""

    name = "Pictory dashboard"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, which is the same for all tasks."""
        return DASHBOARD_URL


OPERATOR_EXTRA_LINKS = (PlayVideoLink(), PictoryDashboardLink())


def link_xcoms(video_url: str | None) -> dict[str, str]:
    """
    Return the XComs by which Airflow 3 knows the links of a task that ended without a worker.

    :param video_url: of the finished video.
    """
    play, dashboard = OPERATOR_EXTRA_LINKS
    return {play.xcom_key: video_url or NOWHERE, dashboard.xcom_key: DASHBOARD_URL}


def push_links(task_instance: Any) -> None:
    """
    Give a task its buttons on Airflow 3 before it ends; Airflow itself does so only afterwards.

    :param task_instance: of the running task. Nothing depends on its buttons, so errors are ignored.
    """
    with suppress(Exception):
        # Bypasses custom XCom backends, as Airflow does, since its UI reads what is stored.
        from airflow.sdk.execution_time.task_runner import _xcom_push_to_db

        for key, value in link_xcoms(None).items():
            _xcom_push_to_db(task_instance, key=key, value=value)
