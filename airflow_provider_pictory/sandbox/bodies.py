"""The JSON bodies that the sandbox is sent: read into models, with a short line for whatever is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from airflow_provider_pictory.api import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping
Body = TypeVar("Body", bound=BaseModel)

_LONGEST_VALUE_SHOWN = 60


class InvalidBodyError(ValueError):
    """
    A body that is refused.

    :param message: what is wrong on the whole.
    :param faults: what is wrong, by the name of the field.
    """

    def __init__(self, message: str, faults: Mapping[str, str] | None = None) -> None:
        self.faults = dict(faults or {})
        self.message = message
        super().__init__("; ".join(self.faults.values()) or message)


def invalid_parameter(name: str) -> InvalidBodyError:
    """Make the error for a parameter of a request's query that can't be."""
    return InvalidBodyError("The request parameters are invalid.", {name: f"{name} is invalid"})


def read_body(model: type[Body], content: bytes) -> Body:
    """
    Read a body that must be a JSON object.

    :param model: what must be in it; validated with what was sent, as a :class:`dict`, for its context.
    :param content: the body as it came.
    :raises InvalidBodyError: when it is anything else; it lists everything that is wrong.
    """
    body = read_json(content)
    if not isinstance(body, dict):
        raise InvalidBodyError("The request body must be a JSON object.")
    try:
        return model.model_validate(body, context=body)
    except ValidationError as error:
        raise InvalidBodyError("The request body is invalid.", complaints(error)) from None


def read_json(content: bytes) -> Any:
    """
    Read JSON, strictly.

    :raises InvalidBodyError: when it is none.
    """
    try:
        return json_text.read_json(content, _refuse_constant)
    except ValueError:
        raise InvalidBodyError("The request body is not valid JSON.") from None


def complaints(error: ValidationError) -> dict[str, str]:
    """Return what is wrong, a line for each field by its name."""
    lines: dict[str, str] = {}
    for wrong in error.errors(include_url=False):
        name, *position = wrong["loc"] or (shown(wrong["input"]),)
        line = f"{name}{position or ''}: {wrong['msg']}"
        match wrong["type"]:
            case "missing":
                line = f"{name} is required"
            case "value_error":
                line = f"{name}{position or ''} {wrong['ctx']['error']}"
            case "extra_forbidden":
                line = f"{shown(name)} is unknown here"
        lines.setdefault(str(name), line)
    return lines


def shown(value: object) -> str:
    """Show a wrong value, the beginning of it where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE_SHOWN else f"{text[:_LONGEST_VALUE_SHOWN]}..."


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
