"""
The forms in which users write faults down: a line of text, a JSON object, or a model itself.

As text a fault is its kind and, after a colon, parameters between commas, with dashes where Python has
underscores: ``server-error:status=503,rate=0.1,has-body=no``. A text with a comma in it needs JSON. Errors
write names as the form does that they are about; read are both, dashes and underscores, in every form.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import islice
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from airflow_provider_pictory.sandbox.bodies import shown
from airflow_provider_pictory.sandbox.faults.fault import AS_TEXT, Fault, InvalidFaultError
from airflow_provider_pictory.sandbox.faults.kinds import KINDS

MOST_FAULTS = 100

FaultForm = Fault | str | Mapping[str, Any]

_AnyKind: Any = reduce(operator.or_, KINDS.values())
_ANY_KIND: TypeAdapter[Fault] = TypeAdapter(Annotated[_AnyKind, Field(discriminator="kind")])


def parse_fault(text: str) -> Fault:
    """
    Read a fault from text.

    :param text: such as ``rate-limit:budget=20,window=1,retry-after=date``.
    :raises InvalidFaultError: when it is none; it names the part that is wrong.
    """
    kind, colon, listed = text.strip().partition(":")
    values = [("kind", kind.strip())]
    for part in listed.split(",") if colon else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise InvalidFaultError(f"{shown(part)} in {shown(text)} isn't of the form name=value")
        values.append((name, value))
    return _read(values, is_text=True)


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
    return _read(form.items())


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


def _read(values: Iterable[tuple[Any, Any]], *, is_text: bool = False) -> Fault:
    document: dict[Any, Any] = {}
    for written, value in values:
        name = written.replace("-", "_") if isinstance(written, str) else written
        if name in document:
            raise InvalidFaultError(f"{shown(written)} is given twice")
        # Like a parameter that isn't there, null stands for the default.
        document[name] = value
    document = {name: value for name, value in document.items() if value is not None}
    kind = document.get("kind")
    if isinstance(kind, str):
        document["kind"] = kind.replace("_", "-")
    try:
        return _ANY_KIND.validate_python(document, strict=not is_text, context=AS_TEXT if is_text else None)
    except ValidationError:
        listed = ", ".join(KINDS)
        raise InvalidFaultError(f"{shown(kind)} is no kind of fault, choose {listed}") from None
