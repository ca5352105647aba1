"""
Lists in pages, newest first, that stay right while new items arrive.

Guesses: how many jobs a page holds; that a page key which isn't one is a 400.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_pictory.sandbox.bodies import invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Place = tuple[float, int]


def page(
    items: Sequence[Item], place: Callable[[Item], Place], size: int, page_key: str | None
) -> tuple[list[Item], str | None]:
    """
    Cut one page out of a list.

    :param items: the whole list.
    :param place: an item's place in the order, the same at every call.
    :param size: how many items a page holds.
    :param page_key: which page; the first without it.
    :return: the page's items, newest first, and the next page's key unless this is the last one.
    :raises InvalidBodyError: when no list has given out the key.
    """
    newest_first = sorted(items, key=place, reverse=True)
    if page_key is not None:
        before = _read(page_key)
        newest_first = [item for item in newest_first if place(item) < before]
    shown = newest_first[:size]
    return shown, _write(place(shown[-1])) if len(newest_first) > size else None


def _write(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read(page_key: str) -> Place:
    try:
        moment, position = json.loads(base64.urlsafe_b64decode(page_key.encode()))
        return float(moment), int(position)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise invalid_parameter("nextPageKey") from None
