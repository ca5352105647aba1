"""Savings here take real MP4s from hosts on this machine, to its disk and to stores on it."""

import logging

import pytest

from tests.support.saving_fixtures import *  # noqa: F403  (fixtures)


@pytest.fixture
def save(idle_time):
    """Save a video on any thread, and give what the task would return."""
    from airflow_provider_pictory.hooks.pictory import PictoryHook
    from airflow_provider_pictory.saving.path import find_destination
    from airflow_provider_pictory.saving.saver import VideoSaver

    def save(job_id, path, *, overwrite=False, check_video=True, max_bytes=2_000_000_000):
        hook = PictoryHook()
        saver = VideoSaver(
            hook,
            find_destination(path, None, f"{job_id}.mp4"),
            overwrite=overwrite,
            check_video=check_video,
            max_bytes=max_bytes,
            log=logging.getLogger("tests.saving"),
            clock=idle_time.clock,
        )
        try:
            return saver.save(job_id)
        finally:
            hook.close()

    return save
