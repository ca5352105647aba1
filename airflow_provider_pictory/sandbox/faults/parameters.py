"""The values that a fault's parameters take, in Python, in JSON and as text, and a sentence for others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# More would be no waiting but a mistake, and overflow in some calculation with times.
_LARGEST_NUMBER = 10**9
_LONGEST_VALUE_SHOWN = 60
_LONGEST_TEXT = 1000


class InvalidFaultError(ValueError):
    """A fault that can't be; the message is one sentence that names what is wrong with it."""


class RetryAfter(StrEnum):
    """The forms of the header ``Retry-After``."""

    SECONDS = "seconds"
    DATE = "date"
    NONE = "none"


@dataclass(frozen=True)
class Parameter:
    """
    One parameter's values.

    :param wanted: the values, in words.
    :param read: makes a value out of text; a ``ValueError`` means that it is none.
    :param is_right: tells whether a value, from wherever, is one of them.
    :param wanted_as_value: the values in words where they aren't written as text, if those are others.
    """

    wanted: str
    read: Callable[[str], Any]
    is_right: Callable[[Any], bool]
    wanted_as_value: str = ""


def as_text(name: str) -> str:
    """Return a parameter's name as it is written in a fault's text."""
    return name.replace("_", "-")


def shown(value: object) -> str:
    """Show a wrong value, the beginning of it where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE_SHOWN else f"{text[:_LONGEST_VALUE_SHOWN]}..."


def _number(minimum: float, maximum: float, wanted: str) -> Parameter:
    def is_right(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and minimum <= value <= maximum

    return Parameter(wanted, float, is_right)


def _whole_number(minimum: int, maximum: int, wanted: str) -> Parameter:
    def is_right(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum

    return Parameter(wanted, int, is_right)


def _flag() -> Parameter:
    words = {"yes": True, "true": True, "no": False, "false": False}

    def read(text: str) -> bool:
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]

    return Parameter("yes or no", read, lambda value: isinstance(value, bool), "true or false")


def _text(wanted: str, is_right: Callable[[str], bool]) -> Parameter:
    return Parameter(
        wanted, str, lambda value: isinstance(value, str) and len(value) <= _LONGEST_TEXT and is_right(value)
    )


_SECONDS = _number(0, _LARGEST_NUMBER, "seconds from 0 up")
_COUNT = _whole_number(1, _LARGEST_NUMBER, "a whole number from 1 up")
_WORDS = _text(f"a text of at most {_LONGEST_TEXT} characters", bool)

PARAMETERS = {
    "path": _text('the beginning of a path, such as "/v1/jobs/"', lambda text: text.startswith("/")),
    "method": _text("an HTTP method", lambda text: text.isascii() and text.isalpha()),
    "rate": _number(0, 1, "a number from 0 to 1"),
    "count": _COUNT,
    "after": _SECONDS,
    "until": _SECONDS,
    "status": _whole_number(400, 599, "an HTTP status from 400 to 599"),
    "has_body": _flag(),
    "is_processed": _flag(),
    "is_reset": _flag(),
    "seconds": _SECONDS,
    "retry_after": Parameter(
        "seconds, date or none", RetryAfter, lambda value: isinstance(value, str) and value in set(RetryAfter)
    ),
    "budget": _COUNT,
    "window": _number(0.001, _LARGEST_NUMBER, "seconds from 0.001 up"),
    "error_code": _WORDS,
    "error_message": _WORDS,
    "job_status": _WORDS,
    "per_second": _number(0.001, 1000, "a number from 0.001 to 1000"),
    "same_prompt": _flag(),
}
