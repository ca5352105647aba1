"""The part of a task's log that is used, whichever of Airflow's loggers it is."""

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


class PrefixedLog:
    """
    A task's log for one of many things that the task does.

    :param log: of the task.
    :param prefix: what the lines are about.
    """

    def __init__(self, log: Logger, prefix: str) -> None:
        self._log = log
        self._prefix = prefix

    def info(self, message: str, /, *arguments: object) -> Any:
        """Log what a user wants to know."""
        self._log.info(f"%s: {message}", self._prefix, *arguments)

    def warning(self, message: str, /, *arguments: object) -> Any:
        """Log what a user should look into."""
        self._log.warning(f"%s: {message}", self._prefix, *arguments)

    def error(self, message: str, /, *arguments: object) -> Any:
        """Log what has cost a user something."""
        self._log.error(f"%s: {message}", self._prefix, *arguments)
