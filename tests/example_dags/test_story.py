"""The film of several scenes: it runs to its end, also after a scene that failed, and has no seams."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tests.example_dags.test_example_dags import FOLDER, difference, example, frames
from tests.support import airflow_versions
from tests.support.pictory_words import POST, count

__all__ = ["example"]

STORY = FOLDER / "example_pictory_story.py"
TASKS = [f"{kind}_{number}" for number in (1, 2, 3) for kind in ("generate", "wait")] + ["save", "join"]


@pytest.fixture
def when_ended(monkeypatch):
    """Have something done, once, as soon as a task has ended and before its DAG run goes on."""
    from airflow.models.dagrun import DagRun

    def when_ended(task_id, state, do):
        done = []
        update_state = DagRun.update_state

        def update_after_it(dag_run, *args, session, **arguments):
            instance = dag_run.get_task_instance(task_id, session=session)
            if not done and instance and str(instance.state) == state:
                done.append(instance)
                do(dag_run, instance, session)
                session.commit()
            return update_state(dag_run, *args, session=session, **arguments)

        monkeypatch.setattr(DagRun, "update_state", update_after_it)

    return when_ended


def prompts(pictory):
    """Return the prompts of all jobs, in the order in which they were submitted."""
    return [job["request"]["prompt"].split()[2] for job in pictory.jobs()]


def test_each_scene_begins_with_the_last_picture_of_the_one_before_it(pictory, example, tmp_path):
    run = example(STORY, {"folder": str(tmp_path)})

    clips = [frames(Path(saved["path"]).read_bytes()) for saved in run.xcom("save")]
    film = frames(Path(run.xcom("join").removeprefix("file://")).read_bytes())
    assert run.states == dict.fromkeys(TASKS, "success")
    assert count(pictory, POST) == 3
    assert len(film) == sum(map(len, clips))
    first, second = len(clips[0]), len(clips[0]) + len(clips[1])
    for seam in (first, second):
        assert difference(film[seam - 1], film[seam]) < 6
    assert difference(film[0], film[-1]) > 10
    pictures = zip(film, chain.from_iterable(clips), strict=True)
    assert all(difference(one, other) < 1 for one, other in pictures)


def test_the_film_is_where_the_clips_are_in_a_bucket_as_well(pictory, example, bucket):
    run = example(STORY, {"folder": f"s3://media@{bucket.name}/story"})

    saved = [clip["path"].partition(f"@{bucket.name}/")[2] for clip in run.xcom("save")]
    film = saved[0].replace("story/", "story/film-")
    assert sorted(bucket.names()) == sorted([*saved, film])
    assert len(frames(bucket.read(film))) == sum(len(frames(bucket.read(name))) for name in saved)


def test_after_a_failure_half_way_a_clear_goes_on_with_the_scene_that_failed(
    pictory, example, when_ended, tmp_path
):
    when_ended("wait_1", "success", lambda *_: pictory.set_faults(["job-fails:count=1"]))
    when_ended(
        "generate_2",
        "failed",
        lambda run, instance, session: airflow_versions.clear(instance, run.get_dag(), session),
    )

    run = example(STORY, {"folder": str(tmp_path)})

    assert run.states == dict.fromkeys(TASKS, "success")
    assert sorted(prompts(pictory)) == sorted(["boat", "turns", "turns", "reaches"])
    assert len(run.xcom("save")) == 3
    assert Path(run.xcom("join").removeprefix("file://")).is_file()
