"""The explanation of all faults for a terminal, made from their models so that it can't differ from them."""

from __future__ import annotations

import inspect
import textwrap

from airflow_provider_pictory.sandbox.faults.fault import Fault, FilteredFault, as_written
from airflow_provider_pictory.sandbox.faults.kinds import KINDS

_WIDTH = 100
_FILTERS = [name for name in FilteredFault.parameters() if name not in Fault.model_fields]
_INTRODUCTION = """\
A fault is its kind and, after a colon, parameters between commas:

  --fault rate-limit:budget=20,window=1,retry-after=date
  --fault server-error:status=503,rate=0.1,path=/v1/jobs/,after=10,until=40
  --fault job-fails:count=2

Every fault can have a rate from 0 to 1 at which it happens, a count of times that it happens at
most, and a schedule: it happens after so many seconds, and until so many. Where several are given,
all have to allow it. Faults of requests, those with path and method, befall all that are for the
API unless narrowed to some.
"""


def explain_faults() -> str:
    """Explain how to write a fault down, every kind, and the values of every parameter."""
    lines = [_INTRODUCTION]
    for kind, model in KINDS.items():
        meaning = " ".join((inspect.getdoc(model) or "").split())
        lines += [kind, *textwrap.wrap(meaning, _WIDTH, initial_indent="  ", subsequent_indent="  ")]
        lines += [_explain(model, it) for it in model.parameters() if it not in FilteredFault.model_fields]
        lines += [f"    {', '.join(_FILTERS)}"] if issubclass(model, FilteredFault) else []
    lines += ["", "Those of requests and of lists:", *(_explain(FilteredFault, it) for it in _FILTERS)]
    lines += ["", "All kinds have:", *(_explain(Fault, it) for it in Fault.parameters())]
    return "\n".join(lines)


def _explain(model: type[Fault], name: str) -> str:
    field = model.model_fields[name]
    default = field.default
    if isinstance(default, bool):
        default = "yes" if default else "no"
    given = "" if default is None else f"={default:g}" if isinstance(default, float) else f"={default}"
    return f"    {as_written(name, True) + given:<38} {field.description or 'yes or no'}"
