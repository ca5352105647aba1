"""
The decisions: which fault befalls which request or job. No I/O, no HTTP.

The same faults, the same seed and the same requests in the same order make the same decisions.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_pictory.sandbox.faults.budget import RequestBudget
from airflow_provider_pictory.sandbox.faults.fault import Fault, FilteredFault
from airflow_provider_pictory.sandbox.faults.kinds import RateLimit, RequestFault, SlowResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_pictory.sandbox.service import Clock

Kind = TypeVar("Kind", bound=Fault)

_SEEDS = 2**32
_WAIT_WITHOUT_BUDGET = 1.0


@dataclass(frozen=True)
class Interference:
    """
    What befalls one request.

    :param fault: what happens to its response, if anything.
    :param delay: how many seconds late the response is.
    :param wait: how many seconds remain until the rate limit has room again.
    """

    fault: RequestFault | None = None
    delay: float = 0.0
    wait: float = 0.0


class SetFault(Generic[Kind]):
    """
    A fault at work.

    :param fault: the fault.
    :param set_at: when it was set, from which its schedule counts.

    ``times`` is how often it has happened, ``arrivals`` how often it could have where that follows time.
    """

    def __init__(self, fault: Kind, set_at: float) -> None:
        self.fault = fault
        self.times = 0
        self.arrivals = 0
        self.begins_at = set_at + fault.after
        self.ends_at = float("inf") if fault.until is None else set_at + fault.until
        self.budget: RequestBudget | None = None
        if isinstance(fault, RateLimit) and fault.budget:
            self.budget = RequestBudget(fault.budget, fault.window)

    @property
    def has_some_left(self) -> bool:
        """Whether its count isn't used up."""
        return self.fault.count is None or self.times < self.fault.count

    def is_on(self, now: float) -> bool:
        """Tell whether it can happen now."""
        return self.has_some_left and self.begins_at <= now < self.ends_at


class FaultInjector:
    """
    Decides by its faults and a seed.

    :param clock: whose time the schedules and budgets follow.
    :param faults: the faults to begin with.
    :param seed: makes the decisions repeatable; a random one without it, to be read afterwards.

    ``times`` counts by kind how often something went wrong; ``requests_permitted`` and ``requests_limited``
    are the requests that a rate limit let through and refused.
    """

    def __init__(self, clock: Clock, faults: Iterable[Fault] = (), seed: int | None = None) -> None:
        self._clock = clock
        self._set_faults: list[SetFault[Any]] = []
        self.times: Counter[str] = Counter()
        self.requests_permitted = 0
        self.requests_limited = 0
        self.seed = seed if seed is not None else random.SystemRandom().randrange(_SEEDS)
        self._random = random.Random(self.seed)  # noqa: S311  (to be repeatable is the point)
        self.set(faults)

    def set(self, faults: Iterable[Fault], *, seed: int | None = None) -> None:
        """
        Replace all faults; schedules and counts start anew.

        :param faults: the new ones.
        :param seed: starts the decisions anew as well; they go on without it.
        """
        if seed is not None:
            self.seed = seed
            self._random.seed(seed)
        self.clear()
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Set one more fault."""
        self._set_faults.append(SetFault(fault, self._clock.now()))

    def clear(self) -> None:
        """Let nothing more go wrong; what has been decided for jobs stays."""
        self._set_faults.clear()

    def describe(self) -> list[dict[str, Any]]:
        """Return all faults as JSON, with how often each has happened."""
        return [{**it.fault.model_dump(exclude_none=True), "times": it.times} for it in self._set_faults]

    def on_request(self, method: str, path: str) -> Interference | None:
        """Decide what befalls a request: one fault at most, though it can be late as well."""
        # A limit stands in front of everything else, so that what it counts doesn't depend on the rest.
        if limited := self._limit(method, path):
            return limited
        delay, chosen = 0.0, None
        for it in self._fitting(RequestFault, method, path):
            if isinstance(it.fault, RateLimit):
                continue
            if isinstance(it.fault, SlowResponse):
                delay += it.fault.seconds if self.happens(it) else 0.0
            elif chosen is None and self.happens(it):
                chosen = it.fault
        return Interference(chosen, delay) if chosen or delay else None

    def draw(self, kind: type[Kind], method: str = "", path: str = "") -> Kind | None:
        """
        Decide whether a fault of a kind happens now.

        :param kind: one that doesn't befall requests as such.
        :param method: of the request where the kind can be narrowed to some.
        :param path: of the request where the kind can be narrowed to some.
        """
        return next((it.fault for it in self._fitting(kind, method, path) if self.happens(it)), None)

    def at_work(self, kind: type[Kind]) -> list[SetFault[Kind]]:
        """Return all faults of a kind, whether their time is now or not."""
        return [it for it in self._set_faults if isinstance(it.fault, kind)]

    def active(self, kind: type[Kind]) -> SetFault[Kind] | None:
        """Return the first fault of a kind whose time is now, without deciding whether it happens."""
        now = self._clock.now()
        return next((it for it in self.at_work(kind) if it.begins_at <= now < it.ends_at), None)

    def happens(self, set_fault: SetFault[Any]) -> bool:
        """Decide whether a fault happens this time, by its rate alone."""
        rate = set_fault.fault.rate
        if rate < 1 and self._random.random() >= rate:
            return False
        set_fault.times += 1
        self.times[set_fault.fault.kind] += 1
        return True

    def choose(self, count: int) -> int:
        """Choose one of so many variants of a fault."""
        return self._random.randrange(count)

    def _fitting(self, kind: type[Kind], method: str, path: str) -> list[SetFault[Kind]]:
        now = self._clock.now()
        return [
            it
            for it in self.at_work(kind)
            if it.is_on(now) and (not isinstance(it.fault, FilteredFault) or it.fault.is_for(method, path))
        ]

    def _limit(self, method: str, path: str) -> Interference | None:
        now = self._clock.now()
        limits = self._fitting(RateLimit, method, path)
        for it in limits:
            wait = it.budget.seconds_until_free(now) if it.budget else _WAIT_WITHOUT_BUDGET
            if wait > 0 and self.happens(it):
                self.requests_limited += 1
                return Interference(it.fault, wait=wait if it.fault.seconds is None else it.fault.seconds)
        if limits:
            self.requests_permitted += 1
        for it in limits:
            if it.budget:
                it.budget.take(now)
        return None
