"""
``@task.pictory_video``: a function that returns a prompt, or a whole request, becomes a video.

Loaded whenever a DAG file is parsed, so whatever only a running task needs is imported where it runs.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    DecoratedOperator,
    context_merge,
    task_decorator_factory,
)

from airflow_provider_pictory.literals import is_of_a_file, is_plain_request
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator

try:
    from airflow.providers.common.compat.sdk import determine_kwargs
except ImportError:
    # The oldest version of the compat provider that we allow doesn't have this yet.
    from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from airflow.providers.common.compat.sdk import Context, TaskDecorator

    from airflow_provider_pictory.api import VideoRequest

_NOTHING_YET = object()


class DecoratedGenerateVideoOperator(DecoratedOperator, GenerateVideoOperator):
    """
    Generate the video that a function asks for.

    The function is called at most once in a try, and only where its result matters: not when a task is
    resumed after a deferral. Whatever it returns, a job that was accepted before is kept, as with
    :class:`GenerateVideoOperator`. What it returns isn't rendered as a template.

    :param python_callable: returns the prompt, or a dict of the fields ``prompt``, ``model``,
        ``aspect_ratio``, ``duration``, ``first_frame_image_url``, ``extend_video_url``,
        ``reference_image_urls``, ``webhook`` and ``extra_fields``. These replace the arguments of the same
        names, but for those that are ``None`` or an empty text. It can take Airflow's context variables.
    :param op_args: its positional arguments. (templated)
    :param op_kwargs: its keyword arguments. (templated)
    :param kwargs: as for :class:`GenerateVideoOperator`, without ``prompt``.

    :raises PictoryInvalidRequestError: the function returned something else, or fields that Pictory would
        refuse; nothing was paid.
    :raises PictoryError: as :class:`GenerateVideoOperator`.
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *GenerateVideoOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **GenerateVideoOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.pictory_video"
    # So that the UI of Airflow 3 shows what the function returned.
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # An empty prompt is never submitted, whatever goes wrong.
        super().__init__(
            python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, prompt="", **kwargs
        )
        self._context: Context | None = None
        self._returned: object = _NOTHING_YET
        self._made_request: VideoRequest | None = None
        self._request_fields: dict[str, Any] | None = None
        if is_of_a_file(self, DecoratedGenerateVideoOperator):
            self._refuse_wrong_literals()

    @staticmethod
    def xcom_push(context: Context, key: str, value: Any) -> None:
        """
        Push an XCom.

        Airflow 3.0 calls this after any decorated task, and none of its operators has it. Without it, the
        task would fail there once the video was paid for.
        """
        context["ti"].xcom_push(key=key, value=value)

    def execute(self, context: Context) -> str:
        """Submit the video that the function asks for, unless there is one already."""
        self._context = context
        try:
            return super().execute(context)  # type: ignore[no-any-return]
        except Exception as error:
            self._leave_a_retry_alone(context, error)
            raise

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        request_fields: dict[str, Any] | None = None,
        **handed_through: Any,
    ) -> str:
        """
        Continue after the trigger's event, without calling the function.

        :param event: the trigger's event.
        :param request_fields: what was asked for, passed on by the deferral to be shown in the UI.
        :param handed_through: the fields of a :class:`DeferredWait`.
        """
        from airflow_provider_pictory.waiting.deferred_wait import DeferredWait

        if request_fields and not DeferredWait.read(handed_through).is_of_another_try(context):
            self._show(request_fields)
        try:
            return super().execute_complete(context, event, **handed_through)
        except Exception as error:
            self._leave_a_retry_alone(context, error)
            raise

    def _leave_a_retry_alone(self, context: Context, error: Exception) -> None:
        """
        Show no rendered fields of a try that another one follows.

        In this case Airflow 3 gives the task instance another id before it stores the rendered fields. It
        doesn't find the instance then, which on Airflow 3.0 ends the process before callbacks and listeners
        have run.
        """
        instance = context["ti"]
        if not isinstance(error, AirflowFailException) and instance.try_number <= instance.max_tries:
            self.overwrite_rtif_after_execution = False

    def _handed_through(self) -> dict[str, Any]:
        return {"request_fields": self._request_fields}

    def _show(self, request_fields: dict[str, Any]) -> None:
        from airflow_provider_pictory.api.video_request import REQUEST_FIELDS

        self._request_fields = request_fields
        for name in REQUEST_FIELDS:
            setattr(self, name, request_fields.get(name))

    def _refuse_wrong_request(self, known: dict[str, Any]) -> None:
        """Refuse what is wrong whatever the function returns; it may return another model, too."""
        known.pop("prompt", None)
        if is_plain_request(known):
            return
        from airflow_provider_pictory.api import VideoModel
        from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

        try:
            super()._refuse_wrong_request(known)
        except PictoryInvalidRequestError:
            super()._refuse_wrong_request(
                {name: known[name] for name in ("model", "extra_fields") if name in known}
            )
            if not any(self._is_right(known | {"model": model}) for model in VideoModel):
                raise

    def _is_right(self, known: dict[str, Any]) -> bool:
        from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

        try:
            super()._refuse_wrong_request(known)
        except PictoryInvalidRequestError:
            return False
        return True

    def _request(self) -> VideoRequest:
        from airflow_provider_pictory.api.video_request import REQUEST_FIELDS

        if self._made_request is not None:
            return self._made_request
        if self._returned is _NOTHING_YET:
            self._returned = self._call_function()
        for name, value in self._fields(self._returned).items():
            setattr(self, name, value)
        request = self._made_request = super()._request()
        # As normalised, and as JSON, since nothing else is sure to survive a deferral.
        self._show(json.loads(json.dumps({name: getattr(request, name) or None for name in REQUEST_FIELDS})))
        return request

    def _call_function(self) -> object:
        # A copy, since an argument of the function may have the name of a context variable that we need.
        context = copy.copy(self._context or {})
        context_merge(context, self.op_kwargs)
        arguments = determine_kwargs(self.python_callable, self.op_args, context)
        returned = self.python_callable(*self.op_args, **arguments)
        if inspect.iscoroutine(returned):
            returned.close()
        return returned

    def _fields(self, returned: object) -> dict[str, Any]:
        """
        Read what the function returned.

        :raises PictoryInvalidRequestError: it is neither a prompt nor a dict of fields that we know.
        """
        from airflow_provider_pictory.api.checks import is_absent
        from airflow_provider_pictory.api.validation_errors import listed, shown
        from airflow_provider_pictory.api.video_request import REQUEST_FIELDS
        from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

        if isinstance(returned, str):
            return {"prompt": returned}
        name = getattr(self.python_callable, "__name__", "the function")
        if not isinstance(returned, Mapping):
            hint = ""
            if returned is None:
                hint = "; is a return statement missing?"
            elif isinstance(returned, (list, tuple)):
                hint = "; for several videos, map the task over their list with expand()"
            elif inspect.iscoroutine(returned):
                hint = "; it can't be an async function"
            raise PictoryInvalidRequestError(
                f"Nothing was submitted: prompt: {name}() returned {shown(returned)}, but it must return a "
                "prompt, which is a text, or a dict of fields such as {'prompt': 'A red fox in snow', "
                f"'duration': 8}}{hint}"
            )
        unknown = [field for field in returned if field not in REQUEST_FIELDS]
        if unknown:
            raise PictoryInvalidRequestError(
                f"Nothing was submitted: {name}() returned "
                + " and ".join(f"the field {shown(field)}, but {self._way_out(field)}" for field in unknown)
                + f". The fields are {listed(REQUEST_FIELDS)}"
            )
        return {
            field: value for field, value in returned.items() if field == "prompt" or not is_absent(value)
        }

    def _way_out(self, field: object) -> str:
        from airflow_provider_pictory.api.video_request import WIRE_NAMES

        for ours, theirs in WIRE_NAMES.items():
            if field == theirs:
                return f"it is called {ours} here"
        if isinstance(field, str) and hasattr(self, field):
            return "it is an argument of @task.pictory_video()"
        return "there is none of this name; what Pictory knows besides goes into extra_fields"


def pictory_video_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> TaskDecorator:
    """
    Turn a function into a task that generates a video: ``@task.pictory_video``.

    The function returns the prompt, or a dict of the request's fields. The task returns the job id, as
    :class:`GenerateVideoOperator` does, and shares everything else with it: the submission record, the credit
    limit, the waiting, the XComs, the errors.

    :param python_callable: the function; given by Python where the decorator has no arguments.
    :param multiple_outputs: must not be ``True``, since a job id can't be split.
    :param kwargs: the arguments of :class:`GenerateVideoOperator` but for ``prompt``.
    :raises TypeError: while the DAG file is parsed, for an argument that makes no sense here.
    """
    if multiple_outputs:
        raise TypeError("multiple_outputs: the task returns a job id, which can't be split; leave it out")
    if "prompt" in kwargs:
        from airflow_provider_pictory.api.validation_errors import shown

        raise TypeError(
            f"prompt: got {shown(kwargs['prompt'])}, but the function returns the prompt; leave it out"
        )
    # Not None, for which Airflow would guess from the function's return annotation.
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=False,
        decorated_operator_class=DecoratedGenerateVideoOperator,
        **kwargs,
    )
