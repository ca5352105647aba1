"""
Checks of what users pass to operators and sensors: switches, choices, limits, time spans, finished jobs.

Loaded whenever a DAG file is parsed, so it imports next to nothing; what only an error needs is imported
where the error is raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

Choice = TypeVar("Choice", bound=StrEnum)

# Beyond every wait that makes sense, and far within what a date, a timer or a database can hold.
LONGEST_SPAN = 366 * 24 * 60 * 60.0

# How long a wait for a job may take unless its task says otherwise, in seconds.
DEFAULT_TIMEOUT = 60 * 60.0
# And one for jobs that may have come of a lost submission.
DEFAULT_RECONCILE_TIMEOUT = 15 * 60.0

# Python refuses to read numbers of thousands of digits, and no file is that long.
_MANY_DIGITS = 20

# The words that Airflow accepts in its own configuration; no others are guessed.
_WORDS = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}


class OnClear(StrEnum):
    """What a person's clear of the task means."""

    AUTO = "auto"
    NEW = "new"
    REATTACH = "reattach"


class OnUnknownSubmission(StrEnum):
    """What to do where nothing tells whether a submission arrived."""

    FAIL = "fail"
    RESUBMIT = "resubmit"


class OnItemFailure(StrEnum):
    """What becomes of a batch in which items have no video."""

    FAIL = "fail"
    SKIP = "skip"


def switch(value: object, field: str, *, templated: bool = False) -> bool:
    """
    Return whether something is switched on.

    Python treats nearly everything as true, ``"False"`` and ``"no"`` included, so only booleans are accepted.

    :param value: what was given, rendered where it is a template.
    :param field: name of the argument, for the message.
    :param templated: whether the argument is a template field, which renders to a word instead of a boolean.
        The words of Airflow's configuration are accepted: t, true, 1, f, false and 0.
    :raises PictoryInvalidRequestError: for anything else.
    """
    if isinstance(value, bool):
        return value
    if templated:
        word = value.strip().lower() if isinstance(value, str) else ""
        if word in _WORDS:
            return _WORDS[word]
        _refuse(value, field, "it must be True or False, or a template that renders to one of these words")
    if isinstance(value, str):
        _refuse(value, field, "it must be True or False, not a text; no template is rendered here")
    _refuse(value, field, "it must be True or False")


def choice(value: object, field: str, choices: type[Choice]) -> Choice:
    """
    Return which of some choices was made.

    :param value: what was given.
    :param field: name of the argument, for the message.
    :param choices: the allowed ones.
    :raises PictoryInvalidRequestError: for what is none of them.
    """
    if isinstance(value, str):
        for one in choices:
            if value == one:
                return one
    from airflow_provider_pictory.api.validation_errors import listed

    _refuse(value, field, f"it must be {listed(repr(one.value) for one in choices)}")


def credit_limit(value: object, field: str, was_given: bool) -> float | None:
    """
    Return a limit in AI credits, ``None`` where there is none.

    Only an argument that was not given means no limit. One that was given and rendered empty, for example by
    a misspelt name in a template or by a task that returned nothing, is refused, since the author wanted a
    limit.

    :param value: what was given, rendered where it is a template.
    :param field: name of the argument, for the message.
    :param was_given: whether the argument was given, even if it has rendered to ``None``.
    :raises PictoryInvalidRequestError: it was given and is empty, no number, negative, or not finite.
    """
    if value is None and not was_given:
        return None
    number = None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = None
        # Python reads "1_0", "nan" and the digits of all scripts as numbers, too.
        if isinstance(value, str) and not (set(value.strip()) <= set("0123456789.eE+-")):
            number = None
    if number is not None and 0 <= number < float("inf"):
        return number
    if value is None or (isinstance(value, str) and value.strip() in ("", "None", "null")):
        _refuse(
            value,
            field,
            "a number of AI credits is needed, such as 20: a limit that comes out empty is no limit. Look "
            "where the value comes from, or leave the argument out for no limit",
        )
    _refuse(value, field, "a number of AI credits is needed, such as 20; leave it out for no limit")


def byte_limit(value: object, field: str) -> int:
    """
    Return a limit in bytes; an empty value is refused, since it doesn't mean that there is no limit.

    :param value: a whole number of bytes, or the text that a template makes of one.
    :param field: name of the argument, for the message.
    :raises PictoryInvalidRequestError: it is no whole number, or not positive.
    """
    number = value
    if isinstance(value, str) and value.isascii() and value.strip().isdigit() and len(value) < _MANY_DIGITS:
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or number <= 0 or number % 1 != 0:
        _refuse(value, field, "a whole number of bytes is needed; leave it out for the default")
    return int(number)


def job_limit(value: object, field: str) -> int | None:
    """
    Return how many jobs may be in flight, ``None`` for all.

    :param value: a positive whole number, or ``None``.
    :param field: name of the argument, for the message.
    :raises PictoryInvalidRequestError: it is neither.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        _refuse(value, field, "a positive whole number of jobs is needed, or None for all at once")
    return value


def thread_limit(value: object, field: str) -> int:
    """Return how much may be done at a time; refuse what is no positive whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        _refuse(value, field, "a positive whole number is needed; leave it out for the default")
    return value


def time_span(value: object, field: str, *, may_be_zero: bool = False) -> float | None:
    """
    Return the seconds of a time span given as a number of seconds or a ``timedelta``.

    :param value: the span, or ``None`` where nothing was given.
    :param field: name of the argument, for the message.
    :param may_be_zero: whether 0 is accepted, too.
    :raises PictoryInvalidRequestError: it is no such time span, or one longer than 366 days.
    """
    if value is None:
        return None
    span = value.total_seconds() if isinstance(value, timedelta) else value
    if (
        isinstance(span, (int, float))
        and not isinstance(span, bool)
        and (0 < span <= LONGEST_SPAN or (may_be_zero and span == 0))
    ):
        return float(span)
    from airflow_provider_pictory.api.validation_errors import shown
    from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

    given = str(value) if isinstance(value, timedelta) else shown(value)
    raise PictoryInvalidRequestError(
        f"{field}: got {given}, but a positive number of seconds or a timedelta is needed, "
        f"{LONGEST_SPAN / 86400:.0f} days at most"
    )


def finished_job_id(job_id: object, video: object) -> str:
    """
    Return the id of the job whose video is wanted.

    :param job_id: the id itself.
    :param video: instead of the id, a result that has it: a dict, or the text that a template makes of one.
    :raises PictoryInvalidRequestError: neither or both are given, or what is given can't be used.
    """
    from airflow_provider_pictory.api import InvalidRequestError
    from airflow_provider_pictory.api.checks import is_absent
    from airflow_provider_pictory.api.checks import job_id as checked_job_id
    from airflow_provider_pictory.api.validation_errors import shown
    from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

    try:
        if is_absent(video):
            _require_an_id_alone(job_id)
            return checked_job_id(job_id)
        if not is_absent(job_id):
            raise PictoryInvalidRequestError(
                f"job_id and video: got both, {shown(job_id)} and {shown(video)}, but one of them is needed"
            )
        result = from_text(video) if isinstance(video, str) else video
        if not isinstance(result, Mapping) or "job_id" not in result:
            _refuse(
                video,
                "video",
                "what a VideoJobSensor returned is needed, a dict with a job_id; a job id alone goes into "
                "job_id",
            )
        return checked_job_id(result["job_id"])
    except InvalidRequestError as error:
        raise PictoryInvalidRequestError(str(error)) from error


def switches(operator: object, fields: Collection[str]) -> None:
    """
    Turn all switches of an operator into booleans.

    :param operator: about to run, with its templates rendered.
    :param fields: names of the attributes that hold them.
    :raises PictoryInvalidRequestError: for the first that isn't one.
    """
    templated = getattr(operator, "template_fields", ())
    for field in fields:
        given = getattr(operator, field)
        clean = switch(given, field, templated=field in templated)
        if clean is not given:
            setattr(operator, field, clean)


def _require_an_id_alone(job_id: object) -> None:
    from airflow_provider_pictory.api.checks import is_absent

    if is_absent(job_id):
        _refuse(
            job_id,
            "job_id",
            "a job id is needed, or video in its place: video=wait.output of a VideoJobSensor, or "
            "job_id=generate.output of a task that has waited. Does that task run before this one and return "
            "it?",
        )
    if _is_a_result(job_id):
        _refuse(
            job_id,
            "job_id",
            "that is a whole result: give it as video=wait.output, or the id alone as "
            "job_id=wait.output['job_id']",
        )


def is_sequence(value: object) -> bool:
    """
    Return whether a value is a list, or what Airflow hands over in its place.

    What a mapped task returns is a sequence of Airflow's own type, which isn't registered as one. A table has
    a length and items as well, but whoever goes through it gets the names of its columns.
    """
    if isinstance(value, (str, bytes, Mapping)) or hasattr(value, "columns") or hasattr(value, "keys"):
        return False
    return isinstance(value, Sequence) or (hasattr(value, "__getitem__") and hasattr(value, "__len__"))


def from_text(text: str) -> object:
    """Return the value that a template rendered to text, as JSON or Python write it, else ``None``."""
    import ast
    import json

    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _refuse(value: object, field: str, allowed: str) -> NoReturn:
    from airflow_provider_pictory.api.validation_errors import shown
    from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

    raise PictoryInvalidRequestError(f"{field}: got {shown(value)}, but {allowed}")


def refuse_wrong_rules(given: Mapping[str, Any], *, has_limit: bool) -> None:
    """
    Refuse rules for submitting that can never be right.

    :param given: literals among an operator's arguments.
    :param has_limit: whether ``max_credits`` is among what the operator was given.
    :raises PictoryInvalidRequestError: for the first that is wrong.
    """
    if "on_clear" in given:
        choice(given["on_clear"], "on_clear", OnClear)
    if "on_unknown_submission" in given:
        choice(given["on_unknown_submission"], "on_unknown_submission", OnUnknownSubmission)
    if "max_credits" in given:
        credit_limit(given["max_credits"], "max_credits", has_limit)


def checked_job_id(value: object) -> str:
    """
    Check the id of a job that a user or a template gave.

    :raises PictoryInvalidRequestError: it can't be one; often a missing XCom, or a whole result.
    """
    from airflow_provider_pictory.api import InvalidRequestError
    from airflow_provider_pictory.api.checks import job_id
    from airflow_provider_pictory.api.validation_errors import shown
    from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

    if _is_a_result(value):
        raise PictoryInvalidRequestError(
            f"job_id: got {shown(value)}, but that is a whole result and the id alone is needed: "
            "job_id=generate.output of the task that submits the video, or wait.output['job_id'] of a "
            "sensor. In a template, pull the id out of it: {{ ti.xcom_pull(task_ids='wait')['job_id'] }}"
        )
    try:
        return job_id(value)
    except InvalidRequestError as error:
        raise PictoryInvalidRequestError(str(error)) from error


def _is_a_result(job_id: object) -> bool:
    """Tell whether a whole result was given instead of an id, as a dict or as a template's text."""
    return (isinstance(job_id, Mapping) and "job_id" in job_id) or (
        isinstance(job_id, str) and job_id.lstrip().startswith("{") and "job_id" in job_id
    )
