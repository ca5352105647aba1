"""
The forms in which users write faults down: a line of text, a JSON object, or a :class:`Fault` itself.

As text a fault is its kind and, after a colon, parameters between commas, with dashes where Python has
underscores: ``server-error:status=503,rate=0.1,has-body=no``. A text with a comma in it needs JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_pictory.sandbox.faults.fault import Fault, no_such_parameter, read_kind
from airflow_provider_pictory.sandbox.faults.parameters import PARAMETERS, InvalidFaultError, shown

FaultForm = Fault | str | Mapping[str, Any]


def parse_fault(text: str) -> Fault:
    """
    Read a fault from text.

    :param text: such as ``rate-limit:budget=20,window=1,retry-after=date``.
    :raises InvalidFaultError: when it is none; it names the part that is wrong.
    """
    written_kind, colon, listed = text.strip().partition(":")
    kind = read_kind(written_kind.strip())
    values: dict[str, Any] = {}
    for part in listed.split(",") if colon else ():
        written, equals, value = (piece.strip() for piece in part.partition("="))
        name = written.replace("-", "_")
        if not equals:
            raise InvalidFaultError(f"{shown(part)} in {shown(text)} isn't of the form name=value")
        if name not in PARAMETERS:
            raise no_such_parameter(kind, written)
        if name in values:
            raise InvalidFaultError(f"{written} is given twice in {shown(text)}")
        try:
            values[name] = PARAMETERS[name].read(value)
        except ValueError:
            wanted = PARAMETERS[name].wanted
            raise InvalidFaultError(f"{kind}: {written} must be {wanted}, not {shown(value)}") from None
    return Fault(kind, **values)


def read_fault(form: FaultForm) -> Fault:
    """
    Read a fault from any of its forms.

    :param form: a fault, its text, or its JSON object.
    :raises InvalidFaultError: when it is none; it names the part that is wrong.
    """
    if isinstance(form, Fault):
        return form
    if isinstance(form, str):
        return parse_fault(form)
    if not isinstance(form, Mapping):
        raise InvalidFaultError(f"a fault is an object or a text, not {shown(form)}")
    kind = read_kind(form.get("kind"))
    for name in form:
        if name != "kind" and name not in PARAMETERS:
            raise no_such_parameter(kind, name)
    return Fault(**form)


def read_faults(forms: Iterable[FaultForm]) -> tuple[Fault, ...]:
    """
    Read several faults.

    :param forms: faults, their texts or their JSON objects, mixed as you like.
    :raises InvalidFaultError: when one of them is none.
    """
    if isinstance(forms, str | bytes | Mapping) or not isinstance(forms, Iterable):
        raise InvalidFaultError(f"faults are a list, not {shown(forms)}")
    return tuple(read_fault(form) for form in forms)
