"""What differs from one Airflow to the next, as far as tests reach into it; all of it stands here."""

from __future__ import annotations

import functools
import inspect
import re
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowOptionalProviderFeatureException,
    Variable,
)
from airflow.triggers.base import BaseTrigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.orm import Session

try:
    from airflow.sdk.definitions.retry_policy import RetryAction
except ImportError:
    RetryAction = None

try:
    from airflow.sdk.execution_time.context import NEVER_EXPIRE
except ImportError:
    NEVER_EXPIRE = None

try:
    from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms
except ImportError:
    InProcessSupervisorComms = None

try:
    from airflow.sdk.io.fs import _register_filesystems as register_filesystems
except ImportError:
    from airflow.io import _register_filesystems as register_filesystems

try:
    from airflow.sdk.io.store import _STORE_CACHE as STORE_CACHE
except ImportError:
    from airflow.io.store import _STORE_CACHE as STORE_CACHE

__all__ = ["STORE_CACHE", "register_filesystems"]

IS_AIRFLOW_3 = find_spec("airflow.sdk") is not None
IS_3_0 = IS_AIRFLOW_3 and find_spec("airflow.sdk.io.fs") is None
IS_BEFORE_3_2 = find_spec("airflow.dag_processing.dagbag") is None
# Of a connection in the environment whose extra isn't JSON, Airflow 3.0 and 3.1 say that there is none.
WORDS_OF_A_BROKEN_EXTRA = (
    "its URI or JSON can't be read" if IS_AIRFLOW_3 and IS_BEFORE_3_2 else "extra must be a JSON object"
)
HAS_TASK_STATE = NEVER_EXPIRE is not None
LISTS_VARIABLES = hasattr(Variable, "keys") or hasattr(Variable, "__tablename__")
# Where Airflow lets nobody have a run without one.
NO_LOGICAL_DATE: dict[str, Any] = {"logical_date": None} if IS_AIRFLOW_3 else {}
# What Airflow 3.0 shows at DEBUG in dag.test() is what passes between task and supervisor, secrets included.
_DEBUG_LINE = re.compile(r"^\S+ \S+ (\x1b\[[\d;]*m)*\[(\x1b\[[\d;]*m)*debug\b.*\n", re.MULTILINE)


def _has_approvals() -> bool:
    try:
        from airflow.providers.standard.operators.hitl import ApprovalOperator  # noqa: F401
    except (ImportError, AirflowException, AirflowOptionalProviderFeatureException):
        return False
    return True


HAS_APPROVALS = _has_approvals()
# Whether a secrets backend may insist that there is nothing but what it has.
HEEDS_REFUSALS = IS_AIRFLOW_3 and hasattr(
    import_module("airflow.sdk.exceptions"), "AirflowSecretsBackendAccessDenied"
)
HAS_LOOPS = find_spec("airflow.sdk.definitions.loop") is not None if IS_AIRFLOW_3 else False

needs_failing_deletes = pytest.mark.skipif(
    IS_3_0,
    reason="dag.test() of Airflow 3.0 waits for ever for a DELETE that fails",
)
needs_retries_after_post_execute = pytest.mark.skipif(
    IS_3_0, reason="dag.test() of Airflow 3.0 ends a decorated task for good whose post_execute fails"
)
needs_airflow_3 = pytest.mark.skipif(not IS_AIRFLOW_3, reason="this is for Airflow 3")
needs_references_to_assets = pytest.mark.skipif(
    not IS_AIRFLOW_3, reason="this Airflow has no references to assets"
)
needs_loops = pytest.mark.skipif(not HAS_LOOPS, reason="this Airflow has no loops, which come with 3.4")
needs_approvals = pytest.mark.skipif(
    not HAS_APPROVALS, reason="this Airflow has no ApprovalOperator, which came with Airflow 3.1"
)
needs_retry_policies = pytest.mark.skipif(RetryAction is None, reason="this Airflow has no retry policies")
needs_no_retry_policies = pytest.mark.skipif(
    RetryAction is not None, reason="this Airflow has retry policies"
)
needs_task_state = pytest.mark.skipif(not HAS_TASK_STATE, reason="this Airflow has no store of task state")
needs_templates_in_triggers = pytest.mark.skipif(
    not hasattr(BaseTrigger, "render_template_fields"),
    reason="this Airflow starts no templates in a triggerer",
)
needs_timeouts_in_dag_test = pytest.mark.skipif(
    not IS_AIRFLOW_3, reason="this Airflow's dag.test() doesn't survive a task's timeout"
)
needs_old_connection_form = pytest.mark.skipif(
    find_spec("flask_appbuilder") is None,
    reason="this Airflow has no Flask AppBuilder, which the form is for",
)


def read_dags(path: Path) -> Any:
    """Return the DAGs of a file or a folder, as Airflow reads them."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    return DagBag(str(path))


def tell_of_assets(dag: Any) -> None:
    """Let Airflow know a DAG's assets, where its dag.test() makes no events of those it hasn't seen."""
    if not any(task.outlets for task in dag.tasks):
        return
    if not IS_AIRFLOW_3:
        dag.bulk_write_to_db([dag])
    elif IS_3_0:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.serialization.serialized_objects import SerializedDAG

        DagBundlesManager().sync_bundles_to_db()
        stored = SerializedDAG.deserialize_dag(SerializedDAG.serialize_dag(dag))
        SerializedDAG.bulk_write_to_db("dags-folder", None, [stored])


def asset_events(asset: Any) -> list[Any]:
    """Return what Airflow has stored about an asset, in its order."""
    if IS_AIRFLOW_3:
        from airflow.models.asset import AssetEvent, AssetModel
    else:
        from airflow.models.dataset import DatasetEvent as AssetEvent
        from airflow.models.dataset import DatasetModel as AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        asset_id = session.query(AssetModel).filter_by(uri=asset.uri).one().id
        key = "asset_id" if IS_AIRFLOW_3 else "dataset_id"
        return session.query(AssetEvent).filter_by(**{key: asset_id}).order_by(AssetEvent.id).all()


def without_debug_lines(log: str) -> str:
    """Return a log without Airflow's own lines at DEBUG."""
    return _DEBUG_LINE.sub("", log)


def give_callbacks_the_exception() -> None:
    """Let callbacks in Airflow 3.0's dag.test() know the exception, as those of a real task do."""
    if not IS_AIRFLOW_3:
        return
    from airflow.sdk.execution_time import task_runner

    finalize = task_runner.finalize

    def finalize_knowingly(ti: Any, state: Any, context: Any, log: Any, error: Any = None) -> Any:
        if error is not None:
            context.setdefault("exception", error)
        return finalize(ti, state, context, log, error)

    task_runner.finalize = finalize_knowingly


def keep_one_api_server() -> None:
    """Have all tasks of dag.test() use one API server, which takes a second to make, as Airflow 3.3 does."""
    if not IS_AIRFLOW_3:
        return
    from airflow.sdk.execution_time import supervisor

    supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)


def clear(instance: Any, dag: Any, session: Session) -> None:
    """Clear a task instance while its run goes on, as the UI does."""
    from airflow.models.taskinstance import clear_task_instances
    from airflow.utils.state import DagRunState

    # Airflow 2 has to be told the DAG; 3.0 neither takes it nor the version of the DAG that 3.1 takes.
    of_dag = {"dag": dag} if "dag" in inspect.signature(clear_task_instances).parameters else {}
    clear_task_instances([instance], session, dag_run_state=DagRunState.RUNNING, **of_dag)
    if IS_3_0:
        # It reads the DAG, which dag.test() doesn't store there.
        instance.max_tries = instance.try_number + dag.get_task(instance.task_id).retries


def note_calls_of_tasks(monkeypatch: pytest.MonkeyPatch, note: Callable[[Any], None]) -> bool:
    """
    Have each message noted that a task sends to its supervisor, which is its one way out.

    :return: whether this Airflow has such messages.
    """
    if InProcessSupervisorComms is None:
        return False
    send = InProcessSupervisorComms.send

    def noting(comms: Any, msg: Any) -> Any:
        note(msg)
        return send(comms, msg)

    monkeypatch.setattr(InProcessSupervisorComms, "send", noting)
    return True


def redact(value: object, name: str) -> object:
    """Return a value as Airflow's logs show what has such a name."""
    try:
        from airflow.sdk.log import redact as redact_value
    except ImportError:
        try:
            from airflow.sdk.execution_time.secrets_masker import redact as redact_value
        except ImportError:
            from airflow.utils.log.secrets_masker import redact as redact_value
    return redact_value(value, name)
