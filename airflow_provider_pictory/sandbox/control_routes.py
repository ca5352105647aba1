"""The control surface over HTTP. It is no part of the API, needs no key, and its requests aren't counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_pictory.sandbox.addresses import CONTROL_PREFIX
from airflow_provider_pictory.sandbox.bodies import InvalidBodyError, read_body, read_json
from airflow_provider_pictory.sandbox.faults import InvalidFaultError
from airflow_provider_pictory.sandbox.scripted_responses import ScriptedResponse, TooManyResponsesError
from airflow_provider_pictory.sandbox.service import UnknownJobError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_provider_pictory.sandbox.control import Control

    Operation = Callable[[web.Request], Awaitable[Any]]

_STRICT = ConfigDict(strict=True, extra="forbid")


class JobChange(BaseModel):
    """The body of a change of a job."""

    model_config = _STRICT

    status: str = Field(max_length=1000)
    error_code: str | None = Field(default=None, max_length=1000)
    error_message: str | None = Field(default=None, max_length=1000)


class FaultSetting(BaseModel):
    """The body of a replacement of all faults."""

    model_config = _STRICT

    faults: list[Any]
    seed: int | None = None


class ControlRoutes:
    """
    Passes requests on to the control surface.

    :param control: what they are for.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the control surface."""
        operations: list[tuple[str, str, Operation]] = [
            ("GET", "counts", self._counts),
            ("GET", "jobs", self._jobs),
            ("POST", "jobs/{job_id}", self._set_job),
            ("POST", "responses", self._respond_next),
            ("GET", "faults", self._faults),
            ("PUT", "faults", self._set_faults),
            ("POST", "faults", self._add_fault),
            ("DELETE", "faults", self._clear_faults),
        ]
        return [
            web.route(method, f"{CONTROL_PREFIX}/{path}", _handler(operation))
            for method, path, operation in operations
        ]

    async def _counts(self, request: web.Request) -> Any:
        return self._control.counts()

    async def _jobs(self, request: web.Request) -> Any:
        return {"jobs": self._control.jobs()}

    async def _set_job(self, request: web.Request) -> Any:
        change = read_body(JobChange, await request.read())
        return self._control.set_job(request.match_info["job_id"], **dict(change))

    async def _respond_next(self, request: web.Request) -> Any:
        script = read_body(ScriptedResponse, await request.read())
        self._control.respond_next(**dict(script))
        return {"times": script.times}

    async def _faults(self, request: web.Request) -> Any:
        return {"seed": self._control.seed(), "faults": self._control.faults()}

    async def _set_faults(self, request: web.Request) -> Any:
        setting = read_body(FaultSetting, await request.read())
        self._control.set_faults(setting.faults, seed=setting.seed)
        return await self._faults(request)

    async def _add_fault(self, request: web.Request) -> Any:
        self._control.add_fault(read_json(await request.read()))
        return await self._faults(request)

    async def _clear_faults(self, request: web.Request) -> Any:
        self._control.clear_faults()
        return await self._faults(request)


def _handler(operation: Operation) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(await operation(request))
        except UnknownJobError:
            raise web.HTTPNotFound(reason="There is no such job") from None
        except (InvalidBodyError, InvalidFaultError, TooManyResponsesError) as error:
            raise web.HTTPBadRequest(reason=str(error)) from None

    return handle
