"""
``@task.pictory_videos``: a function that returns a list of requests becomes a batch of videos.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import DecoratedOperator, context_merge, task_decorator_factory

from airflow_provider_pictory.literals import is_of_a_file
from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from airflow_provider_pictory.request_arguments import refuse_wrong_requests

try:
    from airflow.providers.common.compat.sdk import determine_kwargs
except ImportError:
    # The oldest version of the compat provider that we allow doesn't have this yet.
    from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context, TaskDecorator

    from airflow_provider_pictory.batch.task import BatchTask


class DecoratedGenerateVideosOperator(DecoratedOperator, GenerateVideosOperator):
    """
    Generate the videos that a function asks for.

    The function is called each time a worker continues with the batch, also after a deferral, so it has to
    return the same list then, or a longer one. What it returns isn't rendered as a template.

    :param python_callable: returns what :class:`GenerateVideosOperator` takes for ``requests``. It can take
        Airflow's context variables.
    :param op_args: its positional arguments. (templated)
    :param op_kwargs: its keyword arguments. (templated)
    :param kwargs: as for :class:`GenerateVideosOperator`, without ``requests``.

    :raises PictoryInvalidRequestError: the function returned no list, or items that are wrong; nothing was
        paid.
    :raises PictoryError: as :class:`GenerateVideosOperator`.
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in GenerateVideosOperator.template_fields if name != "requests"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **GenerateVideosOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.pictory_videos"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, requests=(), **kwargs
        )
        if is_of_a_file(self, DecoratedGenerateVideosOperator):
            self._refuse_wrong_literals()

    def _refuse_wrong_requests(self, given: dict[str, Any]) -> None:
        refuse_wrong_requests({name: value for name, value in given.items() if name != "requests"})

    @staticmethod
    def xcom_push(context: Context, key: str, value: Any) -> None:
        """Push an XCom, as Airflow 3.0 wants any decorated task to be able to."""
        context["ti"].xcom_push(key=key, value=value)

    def _open(self, context: Context, *, began: datetime, is_resumed: bool) -> BatchTask:
        # A copy, since an argument of the function may have the name of a context variable that we need.
        merged = copy.copy(context)
        context_merge(merged, self.op_kwargs)
        arguments = determine_kwargs(self.python_callable, self.op_args, merged)
        returned = self.python_callable(*self.op_args, **arguments)
        if inspect.iscoroutine(returned):
            returned.close()
        self.requests = returned
        return super()._open(context, began=began, is_resumed=is_resumed)


def pictory_videos_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> TaskDecorator:
    """
    Turn a function into a task that generates videos: ``@task.pictory_videos``.

    :param python_callable: the function; given by Python where the decorator has no arguments.
    :param multiple_outputs: must not be ``True``, since a list can't be split.
    :param kwargs: the arguments of :class:`GenerateVideosOperator` but for ``requests``.
    :raises TypeError: while the DAG file is parsed, for an argument that makes no sense here.
    """
    if multiple_outputs:
        raise TypeError("multiple_outputs: the task returns a list, which can't be split; leave it out")
    if "requests" in kwargs:
        raise TypeError("requests: the function returns them; leave it out")
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=False,
        decorated_operator_class=DecoratedGenerateVideosOperator,
        **kwargs,
    )
