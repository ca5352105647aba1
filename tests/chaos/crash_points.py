"""
Crash points: where a task process kills itself, once for each kill that its clip's plan asks for.

Copied beside the DAG file into the DAGs folder and run in the processes of tasks; nothing in the package
knows about it. Importing it wraps the methods between which a crash can fall. A kill is written down before
it happens, in a file that only one process can make, so that it happens exactly once and can be counted.
Kills around the paid POST need the other side's help: headers tell the gateway of the harness what shall
become of the request, and a file of the gateway's tells when it has come that far.

On purpose it needs nothing of ``tests`` and runs on the oldest Airflow too.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import requests.adapters
from airflow.providers.common.compat.sdk import Variable

from airflow_provider_pictory.client.submitting import SUBMIT_PATH
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator

FOLDER = "CRASHES_FOLDER"
SETTLING_TIME = "CRASHES_SETTLING_TIME"

# What the gateway is asked to do with a POST; a kill follows all but the last two.
IN_FLIGHT = ("in-flight-lost", "in-flight-late", "in-flight-created")
IN_FLIGHT_ALIVE = ("response-dropped", "cleared-in-flight")
LONGEST_WAIT_FOR_GATEWAY = 30.0
# How a record says that a POST is about to be sent.
INTENDED = {"intended", "intent"}


class CurrentClip:
    """The clip whose task this process runs, and the kills that its plan has for it."""

    number = -1
    try_number = 0
    kills: tuple[dict[str, Any], ...] = ()

    @classmethod
    def take(cls, context: Any) -> None:
        """Read the plan from the run's conf."""
        task_instance = context["ti"]
        clip = context["dag_run"].conf["clips"][max(task_instance.map_index, 0)]
        cls.number = clip["number"]
        cls.kills = tuple(clip["kills"])
        cls.try_number = task_instance.try_number

    @classmethod
    def claim(cls, point: str) -> dict[str, Any] | None:
        """Return the kill that is due at a point, if there is one, and see to it that nobody else gets it."""
        for index, kill in enumerate(cls.kills):
            if kill["point"] == point and cls.try_number >= kill["first_try"]:
                mark = f"{cls.number}.{index}.{point}"
                try:
                    _write_down(_folder() / "claimed" / mark)
                except FileExistsError:
                    continue
                return {**kill, "mark": mark}
        return None


def reach(point: str) -> None:
    """Come to a point, and no further if a kill is due there."""
    if kill := CurrentClip.claim(point):
        die(kill)


def die(kill: dict[str, Any]) -> None:
    """End this process as a crash would, and with it the one that watches it if the machine shall be gone."""
    _write_down(_folder() / "happened" / kill["mark"])
    if kill["is_of_machine"]:
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _folder() -> Path:
    return Path(os.environ[FOLDER])


def _write_down(path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _die_when_the_gateway_is_there(kill: dict[str, Any]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_FOR_GATEWAY
    signal_file = _folder() / "signals" / kill["mark"]
    while time.monotonic() < deadline:
        if signal_file.exists():
            die(kill)
        time.sleep(0.02)


def _wrapped(cls: type, name: str) -> Any:
    """Replace a method; the function that it decorates is called with the former one in front."""
    former = getattr(cls, name)

    def decorate(function: Any) -> None:
        @functools.wraps(former)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(former, *args, **kwargs)

        setattr(cls, name, wrapper)

    return decorate


@_wrapped(GenerateVideoOperator, "execute")
def _execute(former: Any, self: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
    CurrentClip.take(context)
    _watch_xcom(type(context["ti"]))
    if (store := context.get("task_state_store")) is not None:
        _watch_writes(type(store))
    result = former(self, context, *args, **kwargs)
    reach("after-success")
    return result


@_wrapped(GenerateVideoOperator, "resume_execution")
def _resume_execution(
    former: Any, self: Any, next_method: str, next_kwargs: Any, context: Any, *args: Any
) -> Any:
    CurrentClip.take(context)
    reach("while-resuming")
    result = former(self, next_method, next_kwargs, context, *args)
    reach("after-success")
    return result


@_wrapped(GenerateVideoOperator, "defer")
def _defer(former: Any, self: Any, **kwargs: Any) -> None:
    reach("while-deferring")
    former(self, **kwargs)


@_wrapped(PictoryHook, "submit_video")
def _submit_video(former: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    job_id = former(self, *args, **kwargs)
    reach("after-response")
    return job_id


@_wrapped(requests.adapters.HTTPAdapter, "send")
def _send(former: Any, self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
    if request.method == "POST" and request.url.endswith(SUBMIT_PATH) and CurrentClip.number >= 0:
        request.headers["X-Clip"] = str(CurrentClip.number)
        for point in (*IN_FLIGHT, *IN_FLIGHT_ALIVE):
            if kill := CurrentClip.claim(point):
                request.headers["X-Mishap"] = point
                request.headers["X-Mark"] = kill["mark"]
                if point in IN_FLIGHT:
                    threading.Thread(target=_die_when_the_gateway_is_there, args=(kill,), daemon=True).start()
                break
    return former(self, request, *args, **kwargs)


def _watch_xcom(cls: type) -> None:
    """Watch the class of task instances that this Airflow uses, which is known only when a task runs."""
    if getattr(cls.xcom_push, "is_watched", False):  # type: ignore[attr-defined]
        return

    @_wrapped(cls, "xcom_push")
    def _xcom_push(former: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        former(self, *args, **kwargs)
        if "job_id" in (kwargs.get("key"), *args[:1]):
            reach("after-xcom")

    cls.xcom_push.is_watched = True  # type: ignore[attr-defined]


def _state_of(value: Any) -> str:
    """Tell how far a submission has come by what is written down, which is JSON as a text or an object."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        document = json.loads(value) if isinstance(value, str) else value
        return str(document.get("state", ""))
    return ""


def _watch_writes(cls: type) -> None:
    """
    Watch one of Airflow's own stores: Variables, or the state of tasks.

    Its records are seen as they are stored, so that nothing of the package's insides needs to be known.
    """
    if getattr(cls, "is_watched", False):
        return
    declared, former = inspect.getattr_static(cls, "set"), cls.set  # type: ignore[attr-defined]
    is_method = inspect.isfunction(declared)

    @functools.wraps(former)
    def write(*args: Any, **kwargs: Any) -> Any:
        values = [*(args[2:3] if is_method else args[1:2]), kwargs.get("value")]
        states = {_state_of(value) for value in values}
        if states & INTENDED:
            reach("before-intent")
        result = former(*args, **kwargs)
        if states & INTENDED:
            reach("after-intent")
        if "accepted" in states:
            reach("after-record")
        return result

    cls.set = write if is_method else staticmethod(write)  # type: ignore[attr-defined]
    cls.is_watched = True  # type: ignore[attr-defined]


def _shorten_settling() -> None:
    """Poll as often as the shortened window of the connection's extra needs it."""
    from airflow_provider_pictory.submission import reconcile

    if seconds := os.environ.get(SETTLING_TIME):
        reconcile.PAUSE_BETWEEN_POLLS = float(seconds) / 4


_watch_writes(Variable)
_shorten_settling()
