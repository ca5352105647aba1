"""What users pass to operators and sensors is checked when a DAG is parsed."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from airflow_provider_pictory.arguments import LONGEST_SPAN, time_span
from airflow_provider_pictory.exceptions import PictoryInvalidRequestError
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.triggers.pictory import VideoJobTrigger

NO_TIME_SPANS = [
    pytest.param(10**12, id="too long"),
    pytest.param(10**400, id="huge"),
    math.inf,
    -math.inf,
    math.nan,
    -1,
    timedelta.max,
    timedelta.min,
    timedelta(seconds=-1),
    "60",
    "",
    True,
    [60],
]


@pytest.mark.parametrize("value", NO_TIME_SPANS)
@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (VideoJobSensor, "timeout"),
        (VideoJobSensor, "poke_interval"),
        (VideoJobSensor, "max_wait"),
        (GenerateVideoOperator, "timeout"),
        (GenerateVideoOperator, "poll_interval"),
        (GenerateVideoOperator, "reconcile_timeout"),
    ],
)
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_time_span_that_makes_no_sense_is_refused_when_the_dag_is_parsed(kind, argument, value, deferrable):
    what = {"job_id": "{{ 1 }}"} if kind is VideoJobSensor else {"prompt": "A red fox in snow"}

    with pytest.raises(PictoryInvalidRequestError, match=f"^{argument}: got .*, 366 days at most$"):
        kind(task_id="film", deferrable=deferrable, **what, **{argument: value})


@pytest.mark.parametrize("kind", [VideoJobSensor, GenerateVideoOperator])
@pytest.mark.parametrize("value", [timedelta.max, timedelta(seconds=-1)], ids=str)
def test_so_is_an_execution_timeout_that_no_date_can_hold(kind, value):
    what = {"job_id": "{{ 1 }}"} if kind is VideoJobSensor else {"prompt": "A red fox in snow"}

    with pytest.raises(PictoryInvalidRequestError, match=r"^execution_timeout: got "):
        kind(task_id="film", execution_timeout=value, **what)


@pytest.mark.parametrize("poll_interval", [math.inf, math.nan, -1, 10**12])
def test_a_trigger_takes_no_interval_that_no_timer_can_hold(poll_interval):
    with pytest.raises(PictoryInvalidRequestError, match=r"^poll_interval: got "):
        VideoJobTrigger("4a09edf9", "pictory_default", "2026-01-01T12:00:00+00:00", poll_interval)


@pytest.mark.parametrize("value", [0.5, 1, timedelta(days=366), LONGEST_SPAN])
def test_every_sensible_time_span_is_taken(value):
    for argument in ("timeout", "poke_interval", "max_wait"):
        VideoJobSensor(task_id="wait", job_id="{{ 1 }}", **{argument: value})
    for argument in ("timeout", "poll_interval", "reconcile_timeout"):
        GenerateVideoOperator(task_id="film", prompt="A red fox in snow", **{argument: value})


def test_no_time_at_all_is_a_time_span_only_where_it_makes_sense():
    assert time_span(0, "timeout", may_be_zero=True) == 0.0
    assert time_span(None, "timeout") is None
    with pytest.raises(PictoryInvalidRequestError, match=r"^timeout: got 0:00:00, "):
        time_span(timedelta(0), "timeout")


def test_a_sensor_without_a_timeout_waits_an_hour():
    assert VideoJobSensor(task_id="wait", job_id="{{ 1 }}", timeout=None).timeout == 3600
