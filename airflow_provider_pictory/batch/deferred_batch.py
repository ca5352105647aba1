"""What a batch hands through its deferral."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.waiting.limits import WaitLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context


@dataclass(frozen=True, kw_only=True)
class DeferredBatch:
    """
    What a batch hands through its deferral.

    :param try_number: of the try that deferred.
    :param began: the moment when that try began.
    :param limits: what ends the waits for the jobs in flight, by their items' keys: the argument, what it is
        set to in seconds, and the moment.
    :param inconclusive: how many events there were in a row that told nothing.
    """

    try_number: int | None = None
    began: str | None = None
    limits: Mapping[str, tuple[str, float, str]] = field(default_factory=dict)
    inconclusive: int = 0

    @classmethod
    def read(cls, handed_through: Mapping[str, Any]) -> DeferredBatch:
        """Read the arguments that a task is resumed with, also of another version of this provider."""
        known = cls.__dataclass_fields__
        return cls(**{name: value for name, value in handed_through.items() if name in known})

    def is_of_another_try(self, context: Context) -> bool:
        """Return whether a task was resumed with what another try of it left behind."""
        present = getattr(context.get("ti"), "try_number", None)
        return self.try_number is not None and present is not None and int(present) != int(self.try_number)

    @property
    def began_at(self) -> datetime:
        """The moment when the try began."""
        return datetime.fromisoformat(self.began) if self.began else datetime.now(UTC)

    @property
    def wait_limits(self) -> dict[str, WaitLimit]:
        """What ends the waits for the jobs in flight, by their items' keys."""
        return {
            key: WaitLimit(argument, float(seconds), datetime.fromisoformat(deadline))
            for key, (argument, seconds, deadline) in self.limits.items()
        }
