"""
What can go wrong at a service such as Pictory, so that a client meets it in a test rather than at night.

A :class:`Fault` says what goes wrong and when, a :class:`FaultInjector` decides for each request and job by
its faults and a seed, and the other modules here carry that out. What is imported here needs nothing but
Python, so that the command can explain faults without aiohttp.
"""

from airflow_provider_pictory.sandbox.faults.fault import Fault
from airflow_provider_pictory.sandbox.faults.injector import FaultInjector
from airflow_provider_pictory.sandbox.faults.kinds import FaultKind
from airflow_provider_pictory.sandbox.faults.parameters import InvalidFaultError, RetryAfter
from airflow_provider_pictory.sandbox.faults.reading import FaultForm, parse_fault, read_fault, read_faults

__all__ = [
    "Fault",
    "FaultForm",
    "FaultInjector",
    "FaultKind",
    "InvalidFaultError",
    "RetryAfter",
    "parse_fault",
    "read_fault",
    "read_faults",
]
