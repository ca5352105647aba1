"""
Cheap checks of a task's literal arguments while its DAG file is parsed.

Loaded at each parse, so it imports next to nothing. Most literals are plainly right, which is seen here at
little cost. All others go to the checks of a run, which alone say what is wrong.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MARKS = ("{{", "{%", "{#")


def is_of_a_file(operator: Any, its_class: type) -> bool:
    """
    Return whether an operator is being made by a DAG file and has its final arguments.

    A mapped operator is made when its task runs, which checks everything. A subclass with an ``__init__`` of
    its own may still change the arguments.

    :param operator: under construction.
    :param its_class: the class whose ``__init__`` asks.
    """
    if is_mapped(operator):
        return False
    # Airflow wraps the constructor of each class anew.
    return inspect.unwrap(type(operator).__init__) is inspect.unwrap(its_class.__init__)  # type: ignore[misc]


def is_mapped(operator: Any) -> bool:
    """Return whether an operator is one instance of a mapped task."""
    return bool(getattr(operator, "_BaseOperator__from_mapped", False))


def splits_result(operator: Any) -> bool:
    """Return whether Airflow makes an XCom of each field of what an operator returns."""
    return bool(operator.multiple_outputs and operator.do_xcom_push)


def is_mapped_over(operator: Any, field: str) -> bool:
    """
    Return whether an argument comes from what a task is mapped over, rather than from the DAG file itself.

    :param operator: one instance of the mapped task, as it runs.
    :param field: name of the argument.
    """
    if not is_mapped(operator) or field not in getattr(operator, "_BaseOperator__init_kwargs", {}):
        return False
    if not operator.has_dag():
        return True
    task = operator.dag.get_task(operator.task_id)
    written = {**(operator.dag.default_args or {}), **getattr(task, "partial_kwargs", {})}
    return field not in written or written[field] is not getattr(operator, field)


def literals(operator: Any, fields: Collection[str]) -> dict[str, Any]:
    """
    Return those arguments of an operator that its task will see as they are now.

    :param operator: as made from a DAG file.
    :param fields: names of the attributes.
    """
    # A DAG can have its own delimiters for templates.
    dag = operator.dag if operator.has_dag() else None
    has_own_marks = bool(getattr(dag, "jinja_environment_kwargs", None))
    files = tuple(operator.template_ext)
    values = {field: getattr(operator, field) for field in fields}
    return {
        field: value
        for field, value in values.items()
        if field not in operator.template_fields or not _is_template(value, has_own_marks, files)
    }


def _is_template(value: object, has_own_marks: bool, files: tuple[str, ...]) -> bool:
    if value is None or isinstance(value, (bool, int, float)):
        return False
    if isinstance(value, str):
        return has_own_marks or value.endswith(files) or any(mark in value for mark in _MARKS)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, set)):
        try:
            return any(_is_template(item, has_own_marks, files) for item in value)
        except RecursionError:
            return True
    # The output of a task, a parameter of the DAG, a function that renders itself, an object with templates.
    return callable(value) or hasattr(value, "resolve") or hasattr(value, "template_fields")


def is_plain_request(fields: Mapping[str, Any]) -> bool:
    """
    Return whether a request is certainly right, without loading its checks.

    :param fields: by the names of the arguments; missing ones aren't checked.
    """
    given = {field: value for field, value in fields.items() if value is not None}
    prompt = given.pop("prompt", None)
    if ("prompt" in fields) and not (
        isinstance(prompt, str)
        and 5 <= len(prompt.strip()) <= 5000
        and prompt.replace("\n", "").isprintable()
        and any(mark.isascii() and mark.isalnum() for mark in prompt)
    ):
        return False
    if not given:
        return True
    from airflow_provider_pictory.api.video_request import FIELDS

    if sum(field.is_source and field.name in given for field in FIELDS) > 1:
        return False
    plain = {"url": _is_plain_url, "reference_image_urls": _are_plain_urls}
    checks = {field.name: plain[field.check] for field in FIELDS if field.check in plain}
    return all(check(given.pop(name)) for name, check in checks.items() if name in given) and _is_of_a_model(
        given
    )


def _are_plain_urls(urls: object) -> bool:
    return isinstance(urls, (list, tuple)) and 0 < len(urls) <= 3 and all(map(_is_plain_url, urls))


def _is_plain_url(url: object) -> bool:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return False
    rest = url.partition("://")[2]
    return rest.isascii() and rest.isprintable() and rest[:1].isalnum() and not set(rest) & set(" :@[]\\")


def _is_of_a_model(given: dict[str, Any]) -> bool:
    if not given:
        return True
    from airflow_provider_pictory.api.models import DEFAULT_MODEL, MODEL_LIMITS

    model = given.pop("model", DEFAULT_MODEL)
    limits = next((limits for name, limits in MODEL_LIMITS.items() if name == model), None)
    duration, aspect_ratio = given.pop("duration", None), given.pop("aspect_ratio", None)
    return (
        not given
        and limits is not None
        and (duration is None or (type(duration) is int and duration in limits.durations))
        and (aspect_ratio is None or aspect_ratio in limits.aspect_ratios)
    )


def is_plain_path(path: object) -> bool:
    """Return whether a path is certainly right, or only a run can tell, without loading its check."""
    if hasattr(path, "__fspath__"):
        return True
    if not isinstance(path, str) or not path.isascii() or not path.isprintable():
        return False
    scheme, mark, rest = path.partition("://")
    parts = (rest if mark else path).split("/")
    names_a_place = len(parts) > 1 and parts[0][-1:] not in ("", "@") if mark else bool(path.strip("/ "))
    is_store = scheme.isalnum() and scheme not in ("file", "local") if mark else ":" not in path
    return names_a_place and is_store and not {"..", "None"} & set(parts) and not set(path) & set("%\\")


def is_plain_job_id(job_id: object) -> bool:
    """Return whether a job id is certainly right, without loading its check."""
    return (
        isinstance(job_id, str)
        and len(job_id) == 36
        and job_id.isascii()
        and job_id.replace("-", "").isalnum()
    )
