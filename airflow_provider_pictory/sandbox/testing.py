"""
The pytest fixtures that give each test its own Pictory, or all of them one.

Name the module in the topmost ``conftest.py``::

    pytest_plugins = ["airflow_provider_pictory.sandbox.testing"]

or import them in any::

    from airflow_provider_pictory.sandbox.testing import pictory_sandbox, pictory_sandbox_factory

Those of the session can be used by fixtures of any scope: ``pictory_sandbox_session``, whose jobs all tests
see, and ``pictory_sandbox_session_factory``.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Concatenate, ParamSpec

try:
    import pytest
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "The fixtures of airflow_provider_pictory.sandbox.testing need pytest: "
        "pip install pytest 'airflow-provider-pictory[sandbox]'",
        name="pytest",
    ) from None

from airflow_provider_pictory.sandbox.background import PictorySandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Parameters = ParamSpec("Parameters")

__all__ = [
    "PictorySandbox",
    "PictorySandboxFactory",
    "pictory_sandbox",
    "pictory_sandbox_factory",
    "pictory_sandbox_session",
    "pictory_sandbox_session_factory",
]


def _starting(
    make: Callable[Parameters, PictorySandbox],
) -> Callable[Concatenate[PictorySandboxFactory, Parameters], PictorySandbox]:
    def start(
        factory: PictorySandboxFactory, /, *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> PictorySandbox:
        return factory.enter_context(make(*arguments, **named))

    return start


class PictorySandboxFactory(ExitStack):
    """Starts sandboxes that end with the test, or the session; takes what :class:`PictorySandbox` takes."""

    __call__ = _starting(PictorySandbox)


@pytest.fixture
def pictory_sandbox_factory() -> Iterator[PictorySandboxFactory]:
    """Start sandboxes with arguments, such as ``pictory_sandbox_factory(render_seconds=5, credits=10)``."""
    with PictorySandboxFactory() as factory:
        yield factory


@pytest.fixture(scope="session")
def pictory_sandbox_session_factory() -> Iterator[PictorySandboxFactory]:
    """Start sandboxes with arguments that go on until all tests have ended."""
    with PictorySandboxFactory() as factory:
        yield factory


@pytest.fixture(scope="session")
def pictory_sandbox_session(pictory_sandbox_session_factory: PictorySandboxFactory) -> PictorySandbox:
    """Start one sandbox for all tests, whose jobs end at once."""
    return pictory_sandbox_session_factory()


@pytest.fixture
def pictory_sandbox(pictory_sandbox_factory: PictorySandboxFactory) -> PictorySandbox:
    """Start a sandbox whose jobs end at once; its ``connection_json`` is an Airflow connection to it."""
    return pictory_sandbox_factory()
