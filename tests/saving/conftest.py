"""Transfers here take real MP4s from hosts on this machine, to its disk and to an S3 server on it."""

from tests.support.saving_fixtures import *  # noqa: F403  (fixtures)
