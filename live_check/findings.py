"""What was seen of each assumption, in words that carry nothing that a stranger must not read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from live_check.assumptions import ALL, Assumption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NAME = re.compile(r"[A-Za-z_$][\w.$-]{0,39}", re.ASCII)
_CODE = re.compile(r"[A-Z0-9_]{1,40}", re.ASCII)
_STATUS = re.compile(r"[a-z_-]{1,30}", re.ASCII)
_MOST_NAMES_SHOWN = 24
_LONGEST_TEXT = 240


class Outcome(StrEnum):
    """How what was seen compares."""

    AS_EXPECTED = "as expected"
    DIFFERS = "DIFFERS"
    NOT_SEEN = "not seen"


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    :param assumption: what was assumed.
    :param seen: what was seen, or why nothing was.
    :param outcome: how it compares.
    """

    assumption: Assumption
    seen: str
    outcome: Outcome


class Findings:
    """
    Collects the rows.

    :param clean: removes the key, and the queries of URLs, from a text.
    """

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        self._clean = clean
        self._rows: dict[str, Row] = {}
        self._assumptions = {assumption.name: assumption for assumption in ALL}
        self.prompts: set[str] = set()

    def note(self, name: str, seen: str, *, is_expected: bool) -> None:
        """
        Note what was seen.

        :param name: of the assumption.
        :param seen: in words.
        :param is_expected: whether that is what was expected.
        """
        self._put(name, seen, Outcome.AS_EXPECTED if is_expected else Outcome.DIFFERS)

    def miss(self, names: Iterable[str], why: str, outcome: Outcome = Outcome.NOT_SEEN) -> None:
        """
        Note of those assumptions that nothing is noted of yet why that is so.

        :param names: of the assumptions.
        :param why: in words.
        :param outcome: what they come to.
        """
        for name in names:
            if name not in self._rows:
                self._put(name, why, outcome)

    def rows(self) -> list[Row]:
        """Return the rows in the table's order."""
        return [self._rows[name] for name in self._assumptions if name in self._rows]

    def safe(self, text: str) -> str:
        """Return a text without the key, prompts and queries, in one line of bounded length."""
        # The longest first, since one prompt may be the beginning of another.
        for prompt in sorted(self.prompts, key=len, reverse=True):
            text = text.replace(prompt, "***")
        text = " ".join(self._clean(text).split())
        return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."

    def _put(self, name: str, seen: str, outcome: Outcome) -> None:
        self._rows[name] = Row(self._assumptions[name], self.safe(seen), outcome)


def names_of(names: Iterable[object]) -> str:
    """Return the names of JSON's fields; what doesn't look like a name is counted, not shown."""
    all_names = list(names)
    fitting = sorted(name for name in all_names if isinstance(name, str) and _NAME.fullmatch(name))
    shown = ", ".join(fitting[:_MOST_NAMES_SHOWN]) or "none"
    rest = len(all_names) - len(fitting[:_MOST_NAMES_SHOWN])
    return f"{shown} and {rest} more" if rest else shown


def code(value: object) -> str:
    """Return an error code, or what a value is that isn't one."""
    return _word(value, _CODE)


def status(value: object) -> str:
    """Return the status of a job, or what a value is that isn't one."""
    return _word(value, _STATUS)


def _word(value: object, pattern: re.Pattern[str]) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    return "nothing" if value is None else f"a {type(value).__name__} that isn't shown"
