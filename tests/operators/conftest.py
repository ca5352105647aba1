"""What the operator's tests share."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta

import pytest

from tests.support import airflow_versions


@pytest.fixture(autouse=True)
def no_waiting_for_the_lists(monkeypatch):
    """Let the sandbox's lists, which never lag here, be read at once."""
    for name in ("reconcile.until_settled", "submitter.settles_in"):
        monkeypatch.setattr(f"airflow_provider_pictory.submission.{name}", lambda record, **moments: 0.01)
    monkeypatch.setattr("airflow_provider_pictory.submission.reconcile.PAUSE_BETWEEN_POLLS", 0.05)
    monkeypatch.setattr(
        "airflow_provider_pictory.hooks.pictory.PictoryHook.get_submission_window", lambda hook: 0.5
    )


@pytest.fixture
def clear_during_run(monkeypatch):
    """
    Let a person clear a task, once, as soon as it has ended and before its DAG run is over.

    The clear is Airflow's own. It is made between two rounds of ``dag.test()``, which itself knows no clears.
    """
    from airflow.models.dagrun import DagRun

    def clear_during_run(dag, task_id, meanwhile=lambda: None):
        cleared = []
        update_state = DagRun.update_state

        def update_after_clear(dag_run, *args, session, **arguments):
            instance = dag_run.get_task_instance(task_id, session=session)
            if not cleared and str(instance.state) in ("success", "failed"):
                cleared.append(instance)
                meanwhile()
                airflow_versions.clear(instance, dag, session)
                session.commit()
            return update_state(dag_run, *args, session=session, **arguments)

        monkeypatch.setattr(DagRun, "update_state", update_after_clear)

    return clear_during_run


@pytest.fixture
def execution_timeout():
    """Return a timeout that Airflow enforces, long enough for a submission."""
    return timedelta(seconds=2.5)


class SilentServer:
    """Takes whatever it is sent and never responds."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        return len(self._open)

    def close(self) -> None:
        for connection in (self._listening, *self._open):
            connection.close()

    def _accept(self) -> None:
        try:
            while True:
                self._open.append(self._listening.accept()[0])
        except OSError:
            return


@pytest.fixture
def silent_server():
    server = SilentServer()
    yield server
    server.close()
