"""
The forms in which users write faults down: a line of text, a JSON object, or a :class:`Fault` itself.

As text a fault is its kind and, after a colon, parameters between commas, with dashes where Python has
underscores: ``server-error:status=503,rate=0.1,has-body=no``. A text with a comma in it needs JSON. Errors
write names as the form does that they are about; read are both, dashes and underscores, in every form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from airflow_provider_pictory.sandbox.faults.fault import Fault, no_such_parameter, read_kind
from airflow_provider_pictory.sandbox.faults.kinds import RULES
from airflow_provider_pictory.sandbox.faults.parameters import PARAMETERS, InvalidFaultError, as_text, shown

MOST_FAULTS = 100

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
        if name not in RULES[kind].parameters:
            raise no_such_parameter(kind, written, is_text=True)
        if name in values:
            raise InvalidFaultError(f"{written} is given twice in {shown(text)}")
        parameter, wrong = PARAMETERS[name], value
        with suppress(ValueError):
            wrong = values[name] = parameter.read(value)
        if name not in values or not parameter.is_right(values[name]):
            raise InvalidFaultError(f"{kind}: {as_text(name)} must be {parameter.wanted}, not {shown(wrong)}")
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
    values: dict[str, Any] = {}
    for written, value in form.items():
        name = written.replace("-", "_") if isinstance(written, str) else written
        if name == "kind":
            continue
        if name not in PARAMETERS:
            raise no_such_parameter(kind, written)
        if name in values:
            raise InvalidFaultError(f"{kind}: {name} is given twice")
        values[name] = value
    return Fault(kind, **values)


def read_faults(forms: Iterable[FaultForm]) -> tuple[Fault, ...]:
    """
    Read several faults.

    :param forms: faults, their texts or their JSON objects, mixed as you like.
    :raises InvalidFaultError: when one of them is none.
    """
    if isinstance(forms, str | bytes | Mapping) or not isinstance(forms, Iterable):
        raise InvalidFaultError(f"faults are a list, not {shown(forms)}")
    faults = tuple(read_fault(form) for form in islice(forms, MOST_FAULTS + 1))
    if len(faults) > MOST_FAULTS:
        raise InvalidFaultError(f"there can be {MOST_FAULTS} faults at a time, not more")
    return faults
