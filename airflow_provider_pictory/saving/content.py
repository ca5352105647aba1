"""What tells one file's content from another's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Content:
    """
    What a file holds, in two figures that no other content has.

    :param size: in bytes.
    :param sha256: in hexadecimal digits.
    """

    size: int
    sha256: str
