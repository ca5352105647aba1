"""Faults set, shown and taken back while the sandbox runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_provider_pictory.sandbox.addresses import CONTROL_PREFIX
from airflow_provider_pictory.sandbox.complaints import shown
from airflow_provider_pictory.sandbox.faults.fault import InvalidFaultError
from airflow_provider_pictory.sandbox.faults.reading import MOST_FAULTS, FaultForm, read_fault, read_faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_pictory.sandbox.faults.injector import FaultInjector


class FaultControl:
    """
    Steers the faults; to be used on the thread of the sandbox's event loop.

    :param injector: whose faults they are.
    """

    def __init__(self, injector: FaultInjector) -> None:
        self._injector = injector

    def faults(self) -> list[dict[str, Any]]:
        """Return all faults that are set as JSON, with how often each has happened."""
        return self._injector.describe()

    @property
    def seed(self) -> int:
        """What repeats the decisions."""
        return self._injector.seed

    def set(self, faults: Iterable[FaultForm], *, seed: int | None = None) -> None:
        """
        Replace all faults; schedules and counts start anew.

        :param faults: the new ones, in any of their forms.
        :param seed: starts the decisions anew as well; they go on without it.
        :raises InvalidFaultError: when one of them is none; then nothing has changed.
        """
        self._injector.set(read_faults(faults), seed=seed)

    def add(self, fault: FaultForm) -> None:
        """
        Set one more fault.

        :raises InvalidFaultError: when it is none.
        """
        added = read_fault(fault)
        if len(self.faults()) >= MOST_FAULTS:
            raise InvalidFaultError(f"there are {MOST_FAULTS} faults already, and can't be more")
        self._injector.add(added)

    def clear(self) -> None:
        """Let nothing more go wrong; what has been decided for jobs stays."""
        self._injector.clear()

    def counts(self) -> dict[str, Any]:
        """Return what has gone wrong so far, in numbers, whatever is set now."""
        return {
            "faults": {str(kind): times for kind, times in self._injector.times.items()},
            "requests_permitted": self._injector.requests_permitted,
            "requests_limited": self._injector.requests_limited,
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the control surface that are about faults."""
        path = f"{CONTROL_PREFIX}/faults"
        return [
            web.get(path, self._response),
            web.put(path, self._replace),
            web.post(path, self._add),
            web.delete(path, self._delete),
        ]

    async def _response(self, request: web.Request) -> web.Response:
        return web.json_response({"seed": self.seed, "faults": self.faults()})

    async def _replace(self, request: web.Request) -> web.Response:
        wanted = await _document(request)
        try:
            if not isinstance(wanted, dict) or not {"faults"} <= wanted.keys() <= {"faults", "seed"}:
                raise InvalidFaultError(f"faults and perhaps a seed are expected, not {shown(wanted)}")
            seed = wanted.get("seed")
            if seed is not None and type(seed) is not int:
                raise InvalidFaultError(f"a seed is a whole number, not {shown(seed)}")
            self.set(wanted["faults"], seed=seed)
        except InvalidFaultError as error:
            raise web.HTTPBadRequest(reason=str(error)) from None
        return await self._response(request)

    async def _add(self, request: web.Request) -> web.Response:
        try:
            self.add(await _document(request))
        except InvalidFaultError as error:
            raise web.HTTPBadRequest(reason=str(error)) from None
        return await self._response(request)

    async def _delete(self, request: web.Request) -> web.Response:
        self.clear()
        return await self._response(request)


async def _document(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(reason="The request body is not valid JSON.") from None
