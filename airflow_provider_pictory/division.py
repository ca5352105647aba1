"""How tasks that asked for the very same video, and lost the answers, divide the jobs among themselves."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Variable

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

DIVISION_PREFIX = "pictory_division_"

# A line this old, in seconds, is of a task that looks no more; those that do renew theirs with each look.
LONGEST_SILENCE = 60.0


class Division:
    """
    Where tasks meet that wait for the same jobs, a Variable.

    They wished for the same, so which of them gets which job doesn't matter, as long as there are no more
    jobs than tasks: one job too many is somebody else's. Two that write at once may drop a line; the next
    look puts it there again. Nothing is certain here, so a job is claimed afterwards as any other.

    :param fingerprint: of what all of them wished for.
    :param name: of this task, unlike all others'.
    """

    def __init__(self, fingerprint: str, name: str) -> None:
        self._key = DIVISION_PREFIX + fingerprint
        self._name = name
        self._has_joined = False

    def share(self, job_ids: Iterable[str]) -> str | None:
        """
        Give the job that falls to this task, or ``None`` if none does by now.

        :param job_ids: the jobs that may be this task's, all of them.
        """
        jobs = sorted(job_ids)
        lines = self._read()
        lines[self._name] = {"at": time.time(), "jobs": jobs}
        self._write(lines)
        self._has_joined = True
        # Who sees other jobs than this task can't be counted upon to take one of these.
        names = sorted(name for name, line in lines.items() if line["jobs"] == jobs)
        place = names.index(self._name)
        return jobs[place] if len(jobs) <= len(names) and place < len(jobs) else None

    def leave(self) -> None:
        """Be counted no more; to be called once the task has found out, or given up."""
        if self._has_joined:
            lines = self._read()
            lines.pop(self._name, None)
            self._write(lines)

    def _read(self) -> dict[str, dict[str, object]]:
        try:
            document = json.loads(Variable.get(self._key, None) or "{}")
            return {
                str(name): {"at": float(line["at"]), "jobs": list(line["jobs"])}
                for name, line in document.items()
                if time.time() - float(line["at"]) < LONGEST_SILENCE
            }
        except Exception as error:  # noqa: BLE001  (without it each task is alone, which is safe)
            log.info("Variable %s can't be read: %s", self._key, error)
            return {}

    def _write(self, lines: dict[str, dict[str, object]]) -> None:
        try:
            if lines:
                Variable.set(self._key, json.dumps(lines), "Tasks that divide Pictory jobs; may be deleted")
            else:
                Variable.delete(self._key)
        except Exception as error:  # noqa: BLE001  (as above)
            log.info("Variable %s can't be written: %s", self._key, error)
