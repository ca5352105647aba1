"""
The requests of a batch: one for each item, made of the item's own fields and of those for all items.

Faults are reported together, the first 20 of them in words, before anything is paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import InvalidRequestError, VideoRequest
from airflow_provider_pictory.api.checks import is_absent
from airflow_provider_pictory.api.validation_errors import listed, shown
from airflow_provider_pictory.api.video_request import FIELDS, REQUEST_FIELDS
from airflow_provider_pictory.arguments import from_text, is_sequence
from airflow_provider_pictory.exceptions import PictoryInvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "key"
LONGEST_KEY = 200
MOST_FAULTS_SHOWN = 20
_SOURCES = {field.name for field in FIELDS if field.is_source}


@dataclass(frozen=True)
class BatchItem:
    """
    One video of a batch.

    :param index: its place in the list, from 0.
    :param key: what names it in results, file names and logs: its own key, else its index.
    :param has_own_key: whether it has a key of its own, so that its place in the list doesn't matter.
    :param request: what to make.
    """

    index: int
    key: str
    has_own_key: bool
    request: VideoRequest

    def __str__(self) -> str:
        return f"item {self.key!r}" if self.has_own_key else f"item {self.index}"


def read_batch(requests: object, defaults: Mapping[str, Any]) -> tuple[BatchItem, ...]:
    """
    Make the requests of a batch.

    :param requests: a list of prompts, or of dicts of a request's fields, each with a ``key`` if it has one;
        or the text that a template makes of such a list.
    :param defaults: fields for every item that has none of its own, by the names of the operators' arguments.
    :return: one item for each, in their order; none for an empty list.
    :raises PictoryInvalidRequestError: this is no list, or items are wrong; the message has the first 20
        faults.
    """
    given: Any = from_text(requests) if isinstance(requests, str) else requests
    if not is_sequence(given):
        raise PictoryInvalidRequestError(
            f"Nothing was submitted: requests: got {shown(requests)}, but a list is needed, of prompts or of "
            "dicts such as {'prompt': 'A red fox in snow', 'key': 'fox'}. Where a task returns it: does that "
            "task run before this one?"
        )
    faults: list[str] = []
    items = [item for index, value in enumerate(given) if (item := _item(index, value, defaults, faults))]
    faults.extend(_repeated_keys(items))
    if faults:
        more = len(faults) - MOST_FAULTS_SHOWN
        shown_faults = "; ".join(faults[:MOST_FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise PictoryInvalidRequestError(f"Nothing was submitted: {shown_faults}")
    return tuple(items)


def _item(index: int, value: object, defaults: Mapping[str, Any], faults: list[str]) -> BatchItem | None:
    """Make one item, or note what is wrong with it."""
    where = f"requests[{index}]"
    fields = {"prompt": value} if isinstance(value, str) else value
    if isinstance(value, str) and value.lstrip().startswith("{") and isinstance(from_text(value), Mapping):
        faults.append(f"{where}: got {shown(value)}, but that is the text of a dict; give the dict itself")
        return None
    if not isinstance(fields, Mapping):
        faults.append(f"{where}: got {shown(value)}, but a prompt is needed, or a dict of a request's fields")
        return None
    unknown = [name for name in fields if name not in (KEY, *REQUEST_FIELDS)]
    faults.extend(
        f"{where}.{_named(name)}: got {shown(fields[name])}, but there is no such field; the fields are "
        f"{listed([KEY, *REQUEST_FIELDS])}, and what Pictory knows besides goes into extra_fields"
        for name in unknown
    )
    key = _key(fields.get(KEY), where, faults)
    try:
        request = VideoRequest(**_merged(fields, defaults))
    except InvalidRequestError as error:
        faults.extend(f"{where}.{fault}" for fault in error.faults)
        return None
    if unknown or key is None:
        return None
    return BatchItem(index, key or str(index), bool(key), request)


def _named(name: object) -> str:
    return name if isinstance(name, str) and name.isidentifier() and len(name) <= LONGEST_KEY else shown(name)


def _merged(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Merge an item's fields over those for all items; a source of its own replaces theirs."""
    own = {name: fields[name] for name in REQUEST_FIELDS if not is_absent(fields.get(name))}
    others = {
        name: value for name, value in defaults.items() if not (name in _SOURCES and _SOURCES & own.keys())
    }
    return {"prompt": fields.get("prompt"), **others, **own}


def _key(key: object, where: str, faults: list[str]) -> str | None:
    """Return an item's own key, empty where it has none, ``None`` where it can't be one."""
    if is_absent(key):
        return ""
    is_number = isinstance(key, int) and not isinstance(key, bool) and abs(key) < 10**LONGEST_KEY
    text = str(key).strip() if isinstance(key, str) or is_number else ""
    if text.strip(".") and len(text) <= LONGEST_KEY and text.isprintable() and not set(text) & set("/\\"):
        return text
    faults.append(
        f"{where}.{KEY}: got {shown(key)}, but a text or a whole number is needed, such as a product's id, "
        f"of at most {LONGEST_KEY} visible characters without slashes: it may become part of a file's name"
    )
    return None


def _repeated_keys(items: Sequence[BatchItem]) -> Iterator[str]:
    indices: dict[str, list[int]] = {}
    for item in items:
        indices.setdefault(item.key, []).append(item.index)
    for item in items:
        if item.has_own_key and len(indices[item.key]) > 1:
            other = next(index for index in indices[item.key] if index != item.index)
            yield (
                f"requests[{item.index}].{KEY}: got {item.key!r}, but each key may be there only once, also "
                f"as the index of an item without one; so has requests[{other}]"
            )
