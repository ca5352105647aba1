"""Ledgers without an Airflow, for what is about what they say and not about where they keep it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.ledger import Ledger, LedgerEntry, LedgerState, Standing
from airflow_provider_pictory.wish import Wish

if TYPE_CHECKING:
    from airflow_provider_pictory.api.lists import NewestJob

PROMPT = "A paper boat on a rainy street"
PLACE = ("videos", "manual__2026-01-01", "generate", -1)
OTHER_PLACE = ("videos", "manual__2026-01-01", "another", -1)


@dataclass
class Shelf:
    """What the ledgers of an Airflow have in common: their records by place, and who claimed which job."""

    records: dict[tuple[str, str, str, int], str] = field(default_factory=dict)
    owners: dict[str, tuple[str, str, str, int]] = field(default_factory=dict)


class MemoryLedger(Ledger):
    """Kept on a shelf in memory."""

    def __init__(self, shelf: Shelf, place: tuple[str, str, str, int] = PLACE) -> None:
        super().__init__(place)
        self._shelf = shelf

    def __str__(self) -> str:
        return "a shelf"

    def standing(self, job_id: str) -> Standing:
        owner = self._shelf.owners.get(job_id)
        if owner is None:
            return Standing.FREE
        return Standing.OWN if owner == self._place else Standing.OTHERS

    def _write_claim(self, job_id: str) -> None:
        self._shelf.owners[job_id] = self._place

    def _read(self) -> str | None:
        return self._shelf.records.get(self._place)

    def _write(self, text: str) -> None:
        self._shelf.records[self._place] = text


def a_wish(
    prompt: str = PROMPT, *, conn_id: str = "pictory_default", base_url: str = "https://api", **given: Any
) -> Wish:
    """Describe a request as it would be submitted."""
    return Wish.of(VideoRequest(prompt, **given), conn_id, base_url)


def an_intent(
    wish: Wish | None = None, newest: NewestJob | None = None, now: datetime | None = None
) -> LedgerEntry:
    """Write down that a wish is about to be submitted, with half a minute for the POST."""
    moment = now or datetime.now(UTC)
    known = {} if newest is None else {"baseline": newest.kind, "newest_job_id": newest.job_id}
    return LedgerEntry(
        state=LedgerState.INTENDED,
        wish=wish or a_wish(),
        try_number=1,
        max_tries=0,
        intended_at=moment,
        over_at=moment + timedelta(seconds=30),
        server_time=moment,
        **known,
    )
