"""How a sandbox is set up, with the one set of defaults that the command and the fixtures share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_pictory.sandbox.faults import Fault

KEY_PREFIX = "pictai_"
EXAMPLE_KEY = f"{KEY_PREFIX}sandbox"


@dataclass(frozen=True)
class Settings:
    """
    What a user can choose.

    :param host: the address to listen on; the default can't be reached from other machines.
    :param port: the port to listen on; 0 takes a free one.
    :param render_seconds: how long a job stays in progress.
    :param credits: the AI credits of the account.
    :param api_key: the only accepted API key; without it, any key that starts with ``pictai_`` is.
    :param fetch_sources: whether videos start from the pictures and videos that their orders name.
    :param faults: what goes wrong from the beginning.
    :param seed: makes the faults repeatable; a random one without it.
    """

    host: str = "127.0.0.1"
    port: int = 0
    render_seconds: float = 20
    credits: float = 22000
    api_key: str | None = None
    fetch_sources: bool = True
    faults: tuple[Fault, ...] = ()
    seed: int | None = None

    @property
    def usable_key(self) -> str:
        """A key that this sandbox accepts."""
        return self.api_key or EXAMPLE_KEY
