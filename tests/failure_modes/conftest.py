"""What the tables share: a Pictory that misbehaves, pauses in proportion, and the log that a user reads."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.sandbox.connection import connection_json


class Lines(logging.Handler):
    """Collects what is logged, each with its level in front."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")

    def count(self, words: str) -> int:
        return sum(words in line for line in self.lines)


@pytest.fixture
def log(monkeypatch) -> Lines:
    """Return the lines that tasks, triggers and hooks log."""
    from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
    from airflow_provider_pictory.sensors.pictory import VideoJobSensor
    from airflow_provider_pictory.triggers.pictory import VideoJobTrigger

    lines = Lines()
    logger = logging.Logger("weather")
    logger.addHandler(lines)
    # Airflow's own loggers differ from one version to the next.
    for logging_class in (PictoryHook, VideoJobTrigger, VideoJobSensor, GenerateVideoOperator):
        monkeypatch.setattr(logging_class, "log", logger)
    return lines


@pytest.fixture
def connect(monkeypatch):
    """Let the connection ``pictory_default`` lead to a base URL with a key and a timeout per call."""

    def connect(url: str, api_key: str, timeout: float = 10.0) -> None:
        document = {**json.loads(connection_json(url, api_key)), "extra": json.dumps({"timeout": timeout})}
        monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", json.dumps(document))

    return connect
