"""How a sandbox is set up: one model for the command, which makes its options of it, and the fixtures."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_pictory.sandbox.faults import Fault

KEY_PREFIX = "pictai_"
EXAMPLE_KEY = f"{KEY_PREFIX}sandbox"


class Settings(BaseModel):
    """What a user can choose; the default host can't be reached from other machines."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    host: str = Field(default="127.0.0.1", description="the address to listen on")
    port: int = Field(default=0, ge=0, le=65535, description="the port to listen on; 0 takes a free one")
    render_seconds: float = Field(default=20, ge=0, description="how many seconds a job stays in progress")
    credits: float = Field(default=22000, ge=0, description="the AI credits of the account")
    api_key: str | None = Field(
        default=None, description=f"the only accepted key; without it, any that starts with {KEY_PREFIX} is"
    )
    fetch_sources: bool = Field(
        default=True, description="don't fetch what videos start from; show their prompts alone"
    )
    faults: tuple[Fault, ...] = Field(
        default=(), description="what goes wrong, such as server-error:status=503,rate=0.1; can be repeated"
    )
    seed: int | None = Field(default=None, description="makes the faults repeatable; a random one without it")

    @property
    def usable_key(self) -> str:
        """A key that this sandbox accepts."""
        return self.api_key or EXAMPLE_KEY
