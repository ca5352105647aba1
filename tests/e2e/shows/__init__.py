"""
Shows on a real scheduler, each of one kind of fault: run by hand, on the Airflow that it is about.

``python -m tests.e2e.shows --list`` says what there is. Each is bounded in time and ends with a verdict and
an exit status: 0 for as it must be, 1 for not, 2 where the environment that it needs isn't there.
"""
