"""What is wrong with something that the sandbox was sent, in one short line."""

from __future__ import annotations

_LONGEST_VALUE_SHOWN = 60


def shown(value: object) -> str:
    """Show a wrong value, the beginning of it where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE_SHOWN else f"{text[:_LONGEST_VALUE_SHOWN]}..."
