"""Hooks here reach a server on this machine, with a key that must not be seen anywhere else."""

from tests.support.client_fixtures import *  # noqa: F403  (fixtures)
