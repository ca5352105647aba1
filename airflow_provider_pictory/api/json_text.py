"""A reader of JSON that others wrote, with its own limit of nesting, since Python's differs by version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Pictory's own documents have fewer than ten levels.
DEEPEST = 100


def read_json(text: str | bytes, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """
    Read a JSON document.

    :param text: the document.
    :param parse_constant: handles ``NaN`` and the like, as for :func:`json.loads`.
    :raises ValueError: it is no JSON, or nested more deeply than :data:`DEEPEST` levels.
    """
    try:
        document = json.loads(text, parse_constant=parse_constant)
    except RecursionError:
        document = None
        is_deep = True
    else:
        is_deep = is_too_deep(document)
    if is_deep:
        raise ValueError(f"more than {DEEPEST} levels")
    return document


def is_too_deep(value: object) -> bool:
    """Tell whether dicts, lists and tuples lie more than :data:`DEEPEST` deep in each other."""
    level: list[object] = [value]
    for _ in range(DEEPEST + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()
