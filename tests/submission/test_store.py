"""What a task has submitted is written down where its next try finds it, or the task stops."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Variable, task
from airflow_provider_pictory.ledger import (
    CLAIM_PREFIX,
    INDEX_PREFIX,
    MOST_EARLIER_JOBS,
    STATE_KEY,
    VARIABLE_PREFIX,
    VARIABLES_KEPT,
    EarlierJob,
    LedgerEntry,
    LedgerState,
    Standing,
    TaskStateLedger,
    VariableLedger,
    open_ledger,
)
from airflow_provider_pictory.wish import Wish
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_pictory import ledger as ledger_module
from airflow_provider_pictory.api.lists import Baseline
from airflow_provider_pictory.exceptions import PictoryLedgerError
from tests.api.strategies import json_values
from tests.dag_runs import a_dag
from tests.ledgers import OTHER_PLACE, PLACE, PROMPT, MemoryLedger, Shelf, an_intent

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
OTHER_JOB_ID = "00000000-0000-4000-8000-000000000000"


def accepted(job_id=JOB_ID, **changes):
    return an_intent().but(
        state=LedgerState.ACCEPTED, job_id=job_id, accepted_at=datetime.now(UTC), **changes
    )


def kept(text):
    """A ledger in which a text was found."""
    return MemoryLedger(Shelf(records={PLACE: text}))


# What is written

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
moments = st.datetimes(timezones=st.just(UTC))
numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
earlier_jobs = st.lists(st.builds(EarlierJob, job_id=texts, fingerprint=texts), max_size=3).map(tuple)
wishes = st.builds(
    Wish,
    fingerprint=texts,
    pictory_conn_id=texts,
    base_url=texts,
    prompt_digest=texts,
    model=st.none() | texts,
    aspect_ratio=st.none() | texts,
    durations=st.lists(numbers, max_size=2).map(tuple),
    sources=st.dictionaries(texts, st.lists(texts, max_size=3).map(tuple), max_size=3),
)
entries = st.builds(
    LedgerEntry,
    state=st.sampled_from(LedgerState),
    wish=wishes,
    try_number=st.integers(0, 10**9),
    max_tries=st.integers(0, 10**9),
    task_instance_id=texts,
    intended_at=moments,
    over_at=moments,
    server_time=st.none() | moments,
    baseline=st.sampled_from(Baseline),
    newest_job_id=st.none() | texts,
    candidates=st.none() | st.lists(texts, max_size=3).map(tuple),
    job_id=st.none() | texts,
    accepted_at=st.none() | moments,
    estimated_credits=st.none() | numbers,
    earlier_jobs=earlier_jobs,
)


@given(entries)
def test_every_entry_is_read_as_it_was_written(entry):
    ledger = MemoryLedger(Shelf())

    ledger.write(entry)

    assert ledger.read() == entry


@given(entries)
def test_an_entry_survives_a_store_of_objects(entry):
    ledger = MemoryLedger(shelf := Shelf())
    ledger.write(entry)

    shelf.records[PLACE] = json.dumps(json.loads(shelf.records[PLACE]))

    assert ledger.read() == entry


def test_nothing_written_is_nothing_read():
    assert MemoryLedger(Shelf()).read() is None


def test_the_last_entry_counts():
    ledger = MemoryLedger(Shelf())
    ledger.write(an_intent())
    ledger.write(entry := accepted())

    assert ledger.read() == entry


def test_an_entry_holds_a_thousand_candidates_in_less_than_64_kb_also_when_encrypted():
    """A Variable is a TEXT of 65,535 bytes in MySQL, and Fernet makes four characters of three bytes."""
    ledger = MemoryLedger(shelf := Shelf())
    many = tuple(EarlierJob(job_id=JOB_ID, fingerprint="f" * 64) for _ in range(MOST_EARLIER_JOBS))
    ledger.write(an_intent().but(candidates=(JOB_ID,) * 1000, earlier_jobs=many))
    size = len(shelf.records[PLACE])

    assert size < 64 * 1024
    assert size * 4 / 3 + 200 < 65_535


def test_the_prompt_is_nowhere_in_it():
    ledger = MemoryLedger(shelf := Shelf())
    ledger.write(accepted())

    assert PROMPT not in shelf.records[PLACE]
    assert JOB_ID in shelf.records[PLACE]


def test_no_job_id_is_ever_forgotten_but_the_oldest_of_many():
    entry = accepted("job-0")
    for number in range(1, MOST_EARLIER_JOBS + 5):
        entry = accepted(f"job-{number}", earlier_jobs=entry.jobs_so_far)

    assert [it.job_id for it in entry.jobs_so_far] == [
        f"job-{number}" for number in range(5, MOST_EARLIER_JOBS + 5)
    ]
    assert entry.but(job_id=None).jobs_so_far == entry.earlier_jobs


# What can't be understood


def document(**changes):
    written = json.loads(accepted().model_dump_json(exclude_defaults=True))
    return json.dumps({name: value for name, value in {**written, **changes}.items() if value is not ...})


NOT_UNDERSTOOD = {
    "nothing": "",
    "no JSON": "job 17",
    "cut short": document()[:-1],
    "cut in the middle": document()[:100],
    "not an object": json.dumps([document()]),
    "null": "null",
    "a text": json.dumps(document()),
    "an empty object": "{}",
    "another version": document(version=2),
    "a version that is no number": document(version="1"),
    "an unknown field": document(second_job_id=JOB_ID),
    "an unknown state": document(state="cancelled"),
    "no state": document(state=...),
    "no wish": document(wish=...),
    "a wish with an unknown field": document(wish={**json.loads(document())["wish"], "priority": 1}),
    "a wish that is none": document(wish=PROMPT),
    "a job id that is a number": document(job_id=7),
    "a number that is a text": document(try_number="1"),
    "a number that is a truth": document(max_tries=True),
    "a number with a fraction": document(try_number=1.5),
    "a moment that is none": document(over_at="soon"),
    "no moment": document(intended_at=...),
    "candidates that are a text": document(candidates=JOB_ID),
    "candidates that are numbers": document(candidates=[1]),
    "an earlier job without its wish": document(earlier_jobs=[{"job_id": JOB_ID}]),
    "an unknown baseline": document(baseline="guessed"),
}


@pytest.mark.parametrize("text", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_what_is_not_completely_understood_stops_the_task(text):
    with pytest.raises(PictoryLedgerError) as raised:
        kept(text).read()

    message = str(raised.value)
    assert "a shelf" in message
    assert "nothing was submitted" in message
    assert "delete the record" in message
    assert len(message) < 1000
    assert not isinstance(raised.value, AirflowFailException)


def test_the_message_names_what_is_wrong():
    with pytest.raises(PictoryLedgerError, match=r"wish\.priority: .*; "):
        kept(document(state="odd", job_id=7, wish={**json.loads(document())["wish"], "priority": 1})).read()


@given(json_values.map(json.dumps) | texts)
def test_anything_else_is_refused_and_nothing_else_raised(text):
    with pytest.raises(PictoryLedgerError):
        kept(text).read()


@given(entries, st.data())
def test_a_record_that_was_cut_anywhere_is_refused(entry, data):
    ledger = MemoryLedger(shelf := Shelf())
    ledger.write(entry)
    text = shelf.records[PLACE]

    with pytest.raises(PictoryLedgerError):
        kept(text[: data.draw(st.integers(0, len(text) - 1))]).read()


def test_a_moment_of_which_the_time_zone_is_not_known_is_not_understood():
    with pytest.raises(PictoryLedgerError):
        kept(document(over_at="2026-01-01T00:00:00")).read()


def test_a_record_says_of_which_version_it_is():
    MemoryLedger(shelf := Shelf()).write(an_intent())

    assert json.loads(shelf.records[PLACE])["version"] == 1


# What can't be read or written


class Store:
    """As Airflow's of task state, with an error where it says so."""

    def __init__(self, error=None):
        self.error = error
        self.values = {}
        self.retentions = set()

    def get(self, key, default=None):
        if self.error:
            raise self.error
        return self.values.get(key, default)

    def set(self, key, value, *, retention=None):
        if self.error:
            raise self.error
        self.values[key] = value
        self.retentions.add(retention)


class OutOfReach:
    """Variables that can't be reached."""

    def __init__(self, error):
        self.error = error

    def get(self, *arguments):
        raise self.error

    set = delete = get


def errors_of_airflow():
    errors = [AirflowException("no such luck"), OSError("the disk is full"), ValueError("too much")]
    with suppress(ImportError):
        from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse

        errors.append(AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)))
    return errors


any_error = pytest.mark.parametrize("error", errors_of_airflow(), ids=lambda it: type(it).__name__)
any_end = pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=repr)


@any_error
def test_a_store_that_fails_stops_the_task_and_airflow_may_try_again(error):
    ledger = TaskStateLedger(PLACE, Store(error))

    with pytest.raises(PictoryLedgerError, match=r"nothing was submitted.*later try") as raised:
        ledger.read()
    assert raised.value.__cause__ is error
    assert type(error).__name__ in str(raised.value)
    assert "task state 'pictory_submission' of videos.generate of run manual__2026-01-01" in str(raised.value)
    assert not isinstance(raised.value, AirflowFailException)

    with pytest.raises(PictoryLedgerError, match="can't be written") as raised:
        ledger.write(accepted())
    # Where Airflow has no such store, it isn't even there to be tried.
    assert raised.value.__cause__ is error or isinstance(raised.value.__cause__, ImportError)


@any_error
def test_variables_that_fail_stop_the_task_and_airflow_may_try_again(error, monkeypatch):
    monkeypatch.setattr(ledger_module, "Variable", OutOfReach(error))
    ledger = VariableLedger(PLACE)

    for act in (
        ledger.read,
        lambda: ledger.write(accepted()),
        lambda: is_free(ledger, JOB_ID),
        lambda: ledger.claim(JOB_ID),
        lambda: ledger.take_over(JOB_ID),
    ):
        with pytest.raises(PictoryLedgerError, match=r"Variable pictory_\w+") as raised:
            act()
        assert raised.value.__cause__ is error


@any_error
def test_variables_that_fail_are_tidied_up_another_time(error, monkeypatch):
    monkeypatch.setattr(ledger_module, "Variable", OutOfReach(error))

    assert VariableLedger(PLACE).keep_tidy(JOB_ID) is None


@any_end
def test_the_end_of_a_task_passes_through(end, monkeypatch):
    monkeypatch.setattr(ledger_module, "Variable", OutOfReach(end))
    ledgers = [VariableLedger(PLACE), TaskStateLedger(PLACE, Store(end))]

    for ledger in ledgers:
        with pytest.raises(type(end)):
            ledger.read()
        with pytest.raises(type(end)):
            ledger.keep_tidy(JOB_ID)
    with pytest.raises(type(end)):
        ledgers[0].write(accepted())


def test_what_cannot_become_json_is_not_written():
    broken = an_intent().but(newest_job_id="\ud800")

    with pytest.raises(PictoryLedgerError, match="can't be written"):
        MemoryLedger(Shelf()).write(broken)


# In real tasks


@pytest.fixture
def in_a_task(run_dag, monkeypatch):
    """Run a function in a task of a real Airflow, which Variables and the store of task state need."""
    monkeypatch.setattr(ledger_module, "PAUSE_BEFORE_CLAIM_COUNTS", 0.01)

    def run(function):
        returned = []
        with a_dag() as dag:

            @task(task_id="the_task")
            def the_task(**context):
                returned.append(function(context))

            the_task()
        finished = run_dag(dag)
        for error in finished.errors("the_task"):
            raise error
        (value,) = returned
        return value

    return run


@pytest.fixture
def forget():
    """Take out of the database what tests have put there, this one and those before."""
    from airflow import models, settings
    from sqlalchemy import delete

    def take_out():
        with settings.engine.begin() as connection:
            connection.execute(delete(models.Variable).where(models.Variable.key.like("pictory%")))

    take_out()
    yield
    take_out()


def variables():
    """Give the Variables of this provider that are in the database, by their keys."""
    from airflow import models, settings
    from sqlalchemy.orm import Session

    with Session(settings.engine) as session:
        found = session.query(models.Variable).filter(models.Variable.key.like("pictory%")).all()
        return {it.key: it for it in found}


@contextmanager
def database_out_of_order():
    """Let the table of Variables be away for a while, so that the database refuses to read it."""
    import sqlalchemy
    from airflow import settings

    def rename(one, other):
        with settings.engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"ALTER TABLE {one} RENAME TO {other}"))

    rename("variable", "variable_away")
    try:
        yield
    finally:
        rename("variable_away", "variable")


def places():
    return [("videos", "a run", "generate", map_index) for map_index in range(2)]


in_airflow = pytest.mark.usefixtures("airflow_database", "forget")


@in_airflow
def test_a_try_finds_what_the_one_before_wrote(run_dag):
    found = []
    entry = accepted()
    with a_dag(retries=2) as dag:

        @task
        def submit(**context):
            ledger = open_ledger(context)
            found.append(ledger.read())
            ledger.write(entry.but(try_number=context["ti"].try_number))
            assert len(found) == 3

        submit()

    assert run_dag(dag).states == {"submit": "success"}
    assert found == [None, entry.but(try_number=1), entry.but(try_number=2)]


@in_airflow
def test_it_is_kept_in_the_best_place_that_this_airflow_has(in_a_task):
    def look(context):
        return context.get("task_state_store") is not None, type(open_ledger(context))

    has_store, kind = in_a_task(look)

    assert kind is (TaskStateLedger if has_store else VariableLedger)


@in_airflow
def test_in_the_store_of_task_state_it_is_an_object_for_ever(in_a_task):
    def write(context):
        if context.get("task_state_store") is None:
            return None
        open_ledger(context).write(accepted())
        return context["task_state_store"].get(STATE_KEY), context["ti"].run_id, context["ti"].dag_id

    written = in_a_task(write)
    if written is None:
        pytest.skip("this Airflow has no store of task state")
    value, run_id, dag_id = written
    from airflow import settings
    from sqlalchemy import text

    with settings.engine.connect() as connection:
        where = "FROM task_state_store WHERE run_id = :run_id AND dag_id = :dag_id"
        ((expires_at, key),) = connection.execute(
            text(f"SELECT expires_at, key {where}"), {"run_id": run_id, "dag_id": dag_id}
        )

    assert value["job_id"] == JOB_ID
    assert value["wish"]["fingerprint"]
    assert (expires_at, key) == (None, STATE_KEY)
    assert not variables()


@in_airflow
def test_in_a_variable_it_is_found_by_the_task_instance_alone(in_a_task):
    one, other = places()
    entry = accepted()

    def write(context):
        VariableLedger(one).write(entry)
        VariableLedger(one).write(entry.but(try_number=2))
        return VariableLedger(one).read(), VariableLedger(other).read()

    assert in_a_task(write) == (entry.but(try_number=2), None)
    (variable,) = variables().values()
    assert variable.description == "What videos.generate[0] of run a run has submitted to Pictory"
    assert json.loads(variable.val)["job_id"] == JOB_ID


@in_airflow
def test_the_instances_of_a_mapped_task_have_a_ledger_each(run_dag):
    found = []
    with a_dag() as dag:

        @task
        def submit(number, **context):
            ledger = open_ledger(context)
            found.append((ledger.read(), number))
            ledger.write(accepted(f"job-{number}"))
            found.append((ledger.read().job_id, number))

        submit.expand(number=[0, 1, 2])

    assert run_dag(dag).states == {"submit": ["success"] * 3}
    assert sorted(found, key=lambda it: it[1]) == [
        *((None, 0), ("job-0", 0)),
        *((None, 1), ("job-1", 1)),
        *((None, 2), ("job-2", 2)),
    ]


@in_airflow
def test_instances_of_a_mapped_task_see_each_other_across_gaps(in_a_task):
    def siblings(context):
        def of(map_index, run_id="a run"):
            return VariableLedger(("videos", run_id, "generate", map_index))

        for index in (0, 2, 9, 20, 32):
            of(index).write(accepted(f"job-{index}"))
        of(1, "another run").write(accepted("job-of-another-run"))
        return {index: [it.job_id for it in of(index).siblings()] for index in (-1, 0, 1, 2, 25)}

    assert in_a_task(siblings) == {
        -1: [],
        0: ["job-2", "job-9", "job-20"],
        1: ["job-0", "job-2", "job-9", "job-20"],
        2: ["job-0", "job-9", "job-20"],
        25: ["job-0", "job-2", "job-9", "job-20", "job-32"],
    }


@in_airflow
def test_a_sibling_that_is_not_understood_is_not_passed_over(in_a_task):
    one, other = (VariableLedger(place) for place in places())

    def siblings(context):
        Variable.set(other._key, "{")
        with pytest.raises(PictoryLedgerError, match=r"generate\[1\]"):
            list(one.siblings())

    in_a_task(siblings)


def test_other_instances_task_state_cannot_be_seen():
    ledger = TaskStateLedger(places()[0], Store())

    assert list(ledger.siblings()) == []


LONG = tuple(mark * 250 for mark in "dr✈")


@in_airflow
def test_ids_of_any_length_make_names_that_airflow_takes(in_a_task):
    one, other = VariableLedger((*LONG, 1023)), VariableLedger((*LONG, 1024))

    def write(context):
        one.write(accepted())
        assert one.claim(JOB_ID)
        one.keep_tidy(JOB_ID)
        return one.read().job_id, other.read(), is_free(other, JOB_ID)

    assert in_a_task(write) == (JOB_ID, None, False)
    found = variables()
    assert len(found) == 3
    assert max(map(len, found)) <= 250
    assert all(len(variable.description) <= 1000 for variable in found.values())


@in_airflow
def test_names_of_variables_hide_nothing_from_logs(in_a_task):
    try:
        from airflow.sdk.log import redact
    except ImportError:
        from airflow.utils.log.secrets_masker import redact
    ledger = VariableLedger(PLACE)

    def write(context):
        ledger.write(accepted())
        ledger.take_over(JOB_ID)
        ledger.keep_tidy(JOB_ID)
        ledger.read()

    in_a_task(write)

    assert redact("visible", "pictory_password") == "***"
    assert len(variables()) == 3
    assert [redact("visible", name) for name in variables()] == ["visible"] * 3


@in_airflow
@pytest.mark.parametrize(
    "act",
    [
        lambda ledger: ledger.read(),
        lambda ledger: list(ledger.siblings()),
        lambda ledger: is_free(ledger, JOB_ID),
    ],
    ids=["its record", "siblings' records", "a claim"],
)
def test_what_a_database_out_of_order_keeps_is_not_taken_for_nothing(in_a_task, act):
    ledger, sibling = (VariableLedger(place) for place in places())

    def read(context):
        ledger.write(accepted())
        sibling.write(accepted(OTHER_JOB_ID))
        sibling.take_over(JOB_ID)
        with database_out_of_order():
            try:
                return act(ledger)
            except PictoryLedgerError:
                return "refused"

    assert in_a_task(read) == "refused"


@in_airflow
def test_a_database_out_of_order_does_not_take_what_is_written(in_a_task):
    ledger = VariableLedger(PLACE)

    def write(context):
        with database_out_of_order():
            for act in (lambda: ledger.write(accepted()), lambda: ledger.take_over(JOB_ID)):
                with pytest.raises(PictoryLedgerError, match="can't be written"):
                    act()
            ledger.keep_tidy(JOB_ID)
        return ledger.read()

    assert in_a_task(write) is None


# Claims


def is_free(ledger, job_id):
    return ledger.standing(job_id) is not Standing.OTHERS


@in_airflow
@pytest.mark.parametrize("kind", [VariableLedger, lambda place: TaskStateLedger(place, Store())])
def test_a_job_is_the_first_claimants_until_somebody_takes_it_over(in_a_task, kind):
    one, other = kind(PLACE), kind(OTHER_PLACE)

    def claims(context):
        return [
            is_free(one, JOB_ID),
            one.claim(JOB_ID),
            is_free(one, JOB_ID),
            one.claim(JOB_ID),
            is_free(other, JOB_ID),
            other.claim(JOB_ID),
            other.claim(OTHER_JOB_ID),
            other.take_over(JOB_ID),
            is_free(other, JOB_ID),
            is_free(one, JOB_ID),
            one.claim(JOB_ID),
        ]

    assert in_a_task(claims) == [
        *(True, True, True, True),
        *(False, False, True),
        *(None, True, False, False),
    ]
    described = {it.description for key, it in variables().items() if key.startswith(CLAIM_PREFIX)}
    assert f"Pictory job {JOB_ID} belongs to videos.another of run manual__2026-01-01" in described


@in_airflow
@pytest.mark.parametrize("is_last", [True, False], ids=["who writes last", "who writes first"])
def test_of_two_who_claim_a_job_in_the_same_moment_one_gets_it(in_a_task, is_last):
    """Both have found the job free before either has written."""

    class InTheSameMoment(VariableLedger):
        def _write_claim(self, job_id):
            if is_last:
                outcomes["other"] = other.claim(job_id)
            else:
                super()._write_claim(job_id)
                outcomes["other"] = other.claim(job_id)

    class Other(VariableLedger):
        looks = 0

        def standing(self, job_id):
            self.looks += 1
            return Standing.FREE if self.looks == 1 else super().standing(job_id)

        def _write_claim(self, job_id):
            super()._write_claim(job_id)
            if is_last:
                VariableLedger._write_claim(one, job_id)

    outcomes = {}
    one, other = InTheSameMoment(PLACE), Other(OTHER_PLACE)

    def claim(context):
        outcomes["one"] = one.claim(JOB_ID)
        return is_free(one, JOB_ID), is_free(VariableLedger(OTHER_PLACE), JOB_ID)

    assert in_a_task(claim) == (is_last, not is_last)
    assert outcomes == {"one": is_last, "other": not is_last}


def test_a_claim_counts_only_after_a_pause(monkeypatch):
    """Long enough for another claimant who has found the job free to have written its own claim."""
    pauses = []

    class Time:
        def sleep(self, pause):
            pauses.append(pause)
            shelf.owners[JOB_ID] = OTHER_PLACE

    monkeypatch.setattr(ledger_module, "time", Time())
    ledger = MemoryLedger(shelf := Shelf())

    assert not ledger.claim(JOB_ID)
    assert pauses == [ledger_module.PAUSE_BEFORE_CLAIM_COUNTS]
    assert pauses[0] >= 1


def test_a_job_of_another_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(ledger_module, "PAUSE_BEFORE_CLAIM_COUNTS", 3600)
    ledger = MemoryLedger(Shelf(owners={JOB_ID: OTHER_PLACE}))

    assert not ledger.claim(JOB_ID)


# Tidying up


def index_key():
    (key,) = (key for key in variables() if key.startswith(INDEX_PREFIX))
    return key


def make_older(age):
    """Let everything in the one index that there is be older."""
    lines = json.loads(Variable.get(index_key()))
    aged = {key: (datetime.fromisoformat(it) - age).isoformat() for key, it in lines.items()}
    Variable.set(index_key(), json.dumps(aged))


@in_airflow
def test_old_variables_go_with_a_later_submission_of_the_task_and_young_ones_stay(in_a_task):
    runs = [VariableLedger(("videos", f"run {number}", "generate", -1)) for number in range(3)]
    elsewhere = VariableLedger(("other videos", "run 0", "generate", -1))

    def submit(context):
        elsewhere.write(accepted("elsewhere"))
        for number, ledger in enumerate(runs):
            ledger.write(accepted(f"job-{number}"))
            ledger.take_over(f"job-{number}")
            ledger.keep_tidy(f"job-{number}")
            if number < 2:
                make_older(VARIABLES_KEPT - timedelta(seconds=60))
        return [it.read() and it.read().job_id for it in (*runs, elsewhere)]

    assert in_a_task(submit) == [None, "job-1", "job-2", "elsewhere"]
    names = sorted(key.removesuffix(key.rpartition("_")[2]) for key in variables())
    assert names == sorted([INDEX_PREFIX] + [CLAIM_PREFIX] * 2 + [VARIABLE_PREFIX] * 3)


@in_airflow
def test_a_task_that_goes_on_with_its_job_keeps_its_variables_young(in_a_task):
    ledger = VariableLedger(PLACE)

    def submit(context):
        ledger.write(accepted())
        for _ in range(3):
            ledger.keep_tidy(JOB_ID)
            make_older(VARIABLES_KEPT - timedelta(seconds=60))
        return ledger.read().job_id

    assert in_a_task(submit) == JOB_ID


GARBAGE = {
    "no JSON": "{",
    "not an object": "[1, 2]",
    "a text": '"pictory"',
    "null": "null",
    "no moments": '{"pictory_submission_1": "soon"}',
    "numbers": '{"pictory_submission_1": 7}',
    "empty": "{}",
    "a moment without a time zone": '{"pictory_submission_1": "2026-01-01T00:00:00"}',
}


@in_airflow
@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_an_index_that_makes_no_sense_is_begun_anew(in_a_task, text):
    ledger = VariableLedger(PLACE)

    def submit(context):
        ledger.keep_tidy(JOB_ID)
        Variable.set(index_key(), text)
        ledger.keep_tidy(JOB_ID)
        return json.loads(Variable.get(index_key()))

    index = in_a_task(submit)
    assert sorted(index) == sorted(ledger._variables(JOB_ID))
    assert all(datetime.fromisoformat(moment).tzinfo for moment in index.values())


@in_airflow
def test_a_variable_that_a_person_has_deleted_already_is_no_reason_to_stop(in_a_task):
    runs = [VariableLedger(("videos", f"run {number}", "generate", -1)) for number in range(2)]

    def submit(context):
        runs[0].keep_tidy("never written")
        make_older(VARIABLES_KEPT + timedelta(days=1))
        runs[1].keep_tidy(JOB_ID)
        return sorted(json.loads(Variable.get(index_key())))

    assert in_a_task(submit) == sorted(runs[1]._variables(JOB_ID))


@in_airflow
def test_where_there_is_a_store_of_task_state_only_claims_are_to_be_deleted(in_a_task):
    ledger = TaskStateLedger(PLACE, Store())

    def submit(context):
        ledger.take_over(JOB_ID)
        ledger.keep_tidy(JOB_ID)
        return list(json.loads(Variable.get(index_key())))

    (line,) = in_a_task(submit)
    assert line.startswith(CLAIM_PREFIX)


def test_each_task_has_an_index_of_its_own_over_all_its_runs(monkeypatch):
    class Variables:
        written = {}  # noqa: RUF012

        @classmethod
        def get(cls, key, default):
            return cls.written.get(key, default)

        @classmethod
        def set(cls, key, value, description):
            cls.written[key] = value

    monkeypatch.setattr(ledger_module, "Variable", Variables)
    for place in (
        ("a", "run 1", "t", -1),
        ("a", "run 2", "t", -1),
        ("b", "run 1", "t", -1),
        ("a", "run 1", "u", -1),
        ("a", "run 1", "t", 0),
    ):
        VariableLedger(place).keep_tidy(JOB_ID)

    assert len(Variables.written) == 4


places_of_tasks = st.tuples(texts, texts, texts, st.integers(-1, 10**6))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(places_of_tasks, places_of_tasks)
def test_no_two_task_instances_share_a_record(one, other):
    assert (VariableLedger(one)._key == VariableLedger(other)._key) is (one == other)
    assert len(VariableLedger(one)._key) <= 250
    assert VariableLedger(one)._key.isascii()
