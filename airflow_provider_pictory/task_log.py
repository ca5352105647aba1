"""What is used of a task's log, whichever of Airflow's loggers it is."""

from __future__ import annotations

from typing import Any, Protocol


class Logger(Protocol):
    """What both loggers of Airflow can do, that of triggers and tasks and the standard library's."""

    def info(self, message: str, /, *arguments: object) -> Any:
        """Log what a user wants to know."""

    def warning(self, message: str, /, *arguments: object) -> Any:
        """Log what a user should look into."""

    def error(self, message: str, /, *arguments: object) -> Any:
        """Log what has cost a user something."""
