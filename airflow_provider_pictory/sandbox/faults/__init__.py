"""
What can go wrong at a service such as Pictory, so that a client meets it in a test rather than at night.

Each kind of :class:`Fault` in :mod:`airflow_provider_pictory.sandbox.faults.kinds` says what goes wrong and
when, a ``FaultInjector`` decides for each request and job by its faults and a seed, and the other modules
here carry that out. What is imported here needs no HTTP, so that the command can explain faults without it.
"""

from airflow_provider_pictory.sandbox.faults.fault import Fault, InvalidFaultError
from airflow_provider_pictory.sandbox.faults.kinds import FaultKind
from airflow_provider_pictory.sandbox.faults.reading import FaultForm, parse_fault, read_fault, read_faults

__all__ = ["Fault", "FaultForm", "FaultKind", "InvalidFaultError", "parse_fault", "read_fault", "read_faults"]
