"""One fault: a checked value that says what goes wrong, for which requests or jobs, how often and when."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, cast

from airflow_provider_pictory.sandbox.addresses import API_PREFIX
from airflow_provider_pictory.sandbox.faults.kinds import RULES, FaultKind
from airflow_provider_pictory.sandbox.faults.parameters import (
    PARAMETERS,
    InvalidFaultError,
    RetryAfter,
    as_text,
    shown,
)

_LOWEST_SERVER_ERROR = 500


@dataclass(frozen=True)
class Fault:
    """
    What goes wrong and when. Rate, count and schedule can be combined: all have to allow it.

    Each kind has its own parameters and defaults, to be seen in
    :data:`airflow_provider_pictory.sandbox.faults.kinds.RULES` or with ``pictory-sandbox --list-faults``;
    ``None`` stands for the default.

    :param kind: what goes wrong.
    :param path: which requests: those whose path begins so, with or without ``/pictoryapis`` in front; all
        that are for the API without it.
    :param method: which requests: those of this method, or of any without it.
    :param rate: how likely it is, for each request or job.
    :param count: how many times it happens at most.
    :param after: from when on it happens, in seconds since it was set.
    :param until: until when it happens, in seconds since it was set.
    :param status: the HTTP status.
    :param has_body: whether the response says anything.
    :param is_processed: whether the service acts on the request all the same, so that only its response is
        lost.
    :param is_reset: whether the connection is reset (RST) rather than closed (FIN).
    :param seconds: how slow, late, long or old, depending on the kind.
    :param retry_after: the form of the header ``Retry-After``.
    :param budget: how many requests a rate limit allows.
    :param window: in how many seconds it allows them.
    :param error_code: of a failed job.
    :param error_message: of a failed job.
    :param job_status: what a job shows as its status.
    :param per_second: how many jobs other clients submit.
    :param same_prompt: whether those have the prompt of the last submission.
    :raises InvalidFaultError: when a value can't be, or the kind has no such parameter.
    """

    kind: FaultKind
    path: str | None = None
    method: str | None = None
    rate: float = 1.0
    count: int | None = None
    after: float = 0.0
    until: float | None = None
    status: int | None = None
    has_body: bool | None = None
    is_processed: bool | None = None
    is_reset: bool | None = None
    seconds: float | None = None
    retry_after: RetryAfter | None = None
    budget: int | None = None
    window: float | None = None
    error_code: str | None = None
    error_message: str | None = None
    job_status: str | None = None
    per_second: float | None = None
    same_prompt: bool | None = None

    def __post_init__(self) -> None:
        kind = read_kind(self.kind)
        self._set("kind", kind)
        rules = RULES[kind]
        for name, parameter in PARAMETERS.items():
            value = getattr(self, name)
            if value is None:
                self._set(name, rules.defaults.get(name, _DEFAULTS[name]))
            elif name not in rules.parameters:
                raise no_such_parameter(kind, name)
            elif not parameter.is_right(value):
                wanted = parameter.wanted_as_value or parameter.wanted
                raise InvalidFaultError(f"{kind}: {name} must be {wanted}, not {shown(value)}")
        if self.retry_after is not None:
            self._set("retry_after", RetryAfter(self.retry_after))
        if self.method is not None:
            self._set("method", self.method.upper())
        if self.until is not None and self.until <= self.after:
            raise InvalidFaultError(f"{kind}: until must be later than after, not {shown(self.until)}")
        if kind is FaultKind.SERVER_ERROR and (self.status or 0) < _LOWEST_SERVER_ERROR:
            raise InvalidFaultError(
                f"{kind}: status must be an HTTP status from 500 to 599, not {shown(self.status)}"
            )

    @property
    def is_acted_on(self) -> bool:
        """Whether the service acts on a request that this befalls."""
        return RULES[self.kind].is_always_processed or bool(self.is_processed)

    def is_for(self, method: str, path: str) -> bool:
        """Tell whether a request is one that this can befall."""
        if self.method is not None and self.method != method:
            return False
        if self.path is None:
            return path.startswith(API_PREFIX)
        return path.startswith(self.path) or path.removeprefix(API_PREFIX).startswith(self.path)

    def to_document(self) -> dict[str, Any]:
        """Return the fault as JSON, with everything that is set."""
        values = {field_.name: getattr(self, field_.name) for field_ in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


_DEFAULTS = {field_.name: field_.default for field_ in fields(Fault)}


def read_kind(name: object) -> FaultKind:
    """
    Find a kind by its name.

    :raises InvalidFaultError: when there is none of that name.
    """
    try:
        # Anything can come from JSON, and Enum copes with that.
        return FaultKind(cast("str", name.replace("_", "-") if isinstance(name, str) else name))
    except ValueError:
        raise InvalidFaultError(f"{shown(name)} is no kind of fault, choose {', '.join(FaultKind)}") from None


def no_such_parameter(kind: FaultKind, name: object, *, is_text: bool = False) -> InvalidFaultError:
    """
    Make the error for a parameter that a kind doesn't have.

    :param is_text: whether the fault was written as text, with dashes.
    """
    listed = ", ".join(as_text(it) if is_text else it for it in RULES[kind].parameters)
    return InvalidFaultError(f"{kind} has no parameter {shown(name)}, only {listed}")
