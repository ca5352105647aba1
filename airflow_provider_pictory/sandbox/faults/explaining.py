"""The explanation of all faults for a terminal, made from the rules so that it can't differ from them."""

from __future__ import annotations

import textwrap

from airflow_provider_pictory.sandbox.faults.kinds import FILTERS, RULES, TRIGGERS
from airflow_provider_pictory.sandbox.faults.parameters import PARAMETERS, as_text

_WIDTH = 100
_INTRODUCTION = """\
A fault is its kind and, after a colon, parameters between commas:

  --fault rate-limit:budget=20,window=1,retry-after=date
  --fault server-error:status=503,rate=0.1,path=/v1/jobs/,after=10,until=40
  --fault job-fails:count=2

Every fault can have a rate from 0 to 1 at which it happens, a count of times that it happens at
most, and a schedule: it happens after so many seconds, and until so many. Where several are given,
all have to allow it. Faults of requests, those with path and method, befall all that are for the
API unless narrowed to some."""


def explain_faults() -> str:
    """Explain how to write a fault down, every kind, and the values of every parameter."""
    lines = [*_INTRODUCTION.splitlines(), ""]
    for kind, rules in RULES.items():
        lines.append(str(kind))
        lines += textwrap.wrap(rules.meaning, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        own = [f"{as_text(name)}={_shown(default)}" for name, default in rules.defaults.items()]
        own += [as_text(name) for name in FILTERS if rules.has_filter]
        if own:
            lines.append(f"    {', '.join(own)}")
    lines += ["", "Parameters:"]
    lines += [f"  {as_text(name):<15} {parameter.wanted}" for name, parameter in PARAMETERS.items()]
    lines += ["", f"All kinds have {', '.join(TRIGGERS)}."]
    return "\n".join(lines)


def _shown(default: object) -> str:
    if default is None:
        return "(nothing)"
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default)
