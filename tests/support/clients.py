"""The synchronous and the asynchronous side of the hook in one form, so that one test asks both."""

from __future__ import annotations

import asyncio
import logging
import traceback

import pytest

from airflow_provider_pictory.client import submitting
from airflow_provider_pictory.exceptions import PictoryError
from airflow_provider_pictory.hooks.pictory import PictoryHook

# No other text contains it, so that it is seen wherever it leaks to. Its characters are those that writers of
# JSON and URLs may write in several ways.
KEY = "pictai_5e-never/to+be=seen~b7"
JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
IN_PROGRESS = {"job_id": JOB_ID, "success": True, "data": {"status": "in-progress"}}


def submit(request, *, before_attempt=None, pauses=None):
    """Submit as the hook does, but note the pauses before it is tried again and make none."""
    return submitting.submit(
        PictoryHook()._client,
        request,
        before_attempt=before_attempt,
        report=logging.getLogger("submit").warning,
        sleep=([] if pauses is None else pauses).append,
    )


class SynchronousClient:
    """``PictoryHook.get_job``."""

    def poll(self, job_id=JOB_ID):
        hook = PictoryHook()
        try:
            return hook.get_job(job_id)
        finally:
            hook.close()

    def look_often(self, times, between=lambda: None):
        """Look several times with one hook, and give the jobs or errors."""
        hook = PictoryHook()
        seen = []
        for number in range(times):
            if number:
                between()
            try:
                seen.append(hook.get_job(JOB_ID))
            except PictoryError as error:
                seen.append(error)
        hook.close()
        return seen

    def error(self, kind=PictoryError, job_id=JOB_ID):
        """Look, expect an error of exactly this kind, and that it doesn't give the key away."""
        with pytest.raises(kind) as caught:
            self.poll(job_id)
        assert type(caught.value) is kind
        assert_keeps_the_key(caught.value)
        return caught.value


class AsynchronousClient(SynchronousClient):
    """``PictoryHook.aget_job``."""

    def poll(self, job_id=JOB_ID):
        async def poll():
            async with PictoryHook() as hook:
                return await hook.aget_job(job_id)

        return asyncio.run(poll())

    def look_often(self, times, between=lambda: None):
        async def poll():
            seen = []
            async with PictoryHook() as hook:
                for number in range(times):
                    if number:
                        between()
                    try:
                        seen.append(await hook.aget_job(JOB_ID))
                    except PictoryError as error:
                        seen.append(error)
            return seen

        return asyncio.run(poll())


def assert_no_key(text):
    """Look for the key, whole or cut off somewhere."""
    assert KEY[:12] not in text
    assert KEY[-12:] not in text


def assert_keeps_the_key(error):
    """Look for the key wherever a log, a tracker of errors or a user would show it."""
    assert_no_key("".join(traceback.format_exception(error)))
    shown = error
    while shown is not None:
        assert_no_key(f"{shown} {shown!r} {vars(shown)!r} {shown.args!r}")
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
