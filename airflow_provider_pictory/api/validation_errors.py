"""What is wrong with what a user or a template gave: the field, the value and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_pictory.api.redaction import without_secrets_of_urls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LONGEST_VALUE_SHOWN = 80


class RefusedValueError(Exception):
    """
    A value that Pictory would refuse or misread.

    :param allowed: what would have been accepted, as a sentence fragment.
    :param given: what was given in other words than its own, such as its length.
    """

    def __init__(self, allowed: str, *, given: str | None = None) -> None:
        super().__init__(allowed)
        self.allowed = allowed
        self.given = given


@dataclass(frozen=True)
class FieldError:
    """
    One thing that is wrong with one field of a request.

    :param field: the name of the argument.
    :param given: what was given, shortened to be readable in a log line.
    :param allowed: what would have been accepted, as a sentence fragment.
    """

    field: str
    given: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.field}: got {self.given}, but {self.allowed}"


class InvalidRequestError(ValueError):
    """
    A request that Pictory would refuse or misread; nothing was sent.

    :param faults: everything that is wrong, so that one run shows all of it.
    """

    def __init__(self, faults: Iterable[FieldError]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[InvalidRequestError], tuple[tuple[FieldError, ...]]]:
        """Support pickling, which would otherwise pass the message as the faults."""
        return type(self), (self.faults,)


def shown(value: object, clean: Callable[[str], str] = without_secrets_of_urls) -> str:
    """
    Return a value as a log line can carry it: its literal, cut short when it is long.

    :param value: of any type.
    :param clean: what removes secrets from it before it is cut short.
    """
    try:
        literal = repr(value)
    except Exception:  # noqa: BLE001  (a number of thousands of digits, a list nested too deeply, anybody's class)
        literal = f"a {type(value).__name__} that can't be shown"
    literal = clean(literal)
    if len(literal) > _LONGEST_VALUE_SHOWN:
        literal = f"{literal[: _LONGEST_VALUE_SHOWN - 3]}..."
    return literal


def listed(values: Iterable[object]) -> str:
    """Return the accepted values as a person would list them: ``a, b or c``."""
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
