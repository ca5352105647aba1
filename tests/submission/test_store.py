"""A record lies in two stores of Airflow's, of which none is trusted: either may be emptied or fail."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_pictory.clock import Clock
from airflow_provider_pictory.exceptions import PictoryRecordError, PictorySubmissionPendingError
from airflow_provider_pictory.submission.names import RECORD_PREFIX
from airflow_provider_pictory.submission.record import CloseReason, RecordState
from airflow_provider_pictory.submission.store import RecordStore
from airflow_provider_pictory.submission.task_state_record import STATE_KEY
from airflow_provider_pictory.submission.variables import (
    PAUSE_BEFORE_CLAIM_COUNTS,
    ListedVariables,
    open_variables,
)
from tests.submission.records import OTHER_PLACE, PLACE, an_intent
from tests.support.airflow_versions import HAS_TASK_STATE, needs_task_state
from tests.support.bare_tasks import TaskState
from tests.support.pictory_words import POST, count
from tests.support.task_tries import Variables, kept_in

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
NOW = datetime.now(UTC)
HTML = "<html><body>404 Not Found</body></html>"


class FragileState(TaskState):
    """Airflow's store of task state, behind something that may response in its place."""

    def __init__(self):
        super().__init__()
        self.error = None
        # How many reads find nothing, as after a 404 of a proxy.
        self.hidden = 0

    def get(self, key):
        if self.error:
            raise self.error
        if self.hidden > 0:
            self.hidden -= 1
            return None
        return super().get(key)

    def set(self, key, value, retention=None):
        if self.error:
            raise self.error
        super().set(key, value, retention)


@pytest.fixture
def variables():
    variables = Variables()
    with kept_in(variables):
        yield variables


@pytest.fixture
def state():
    return FragileState()


def store_of(state, place=PLACE, *, has_earlier_tries=True):
    """Open a store as each try does."""
    return RecordStore(place, open_variables(), state, has_earlier_tries=has_earlier_tries)


def written(state, record, place=PLACE):
    store = store_of(state, place)
    store.read()
    return store.write(record)


def accepted(job_id=JOB_ID, **changes):
    return an_intent(now=NOW).accepted(job_id, NOW).but(**changes)


RECORDS = {
    "an intent": an_intent(now=NOW),
    "a job": accepted(),
    "a delivered job": accepted(state=RecordState.DELIVERED),
    "a failed job": accepted().closed(CloseReason.JOB_FAILED),
}
any_record = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)


def test_nothing_written_is_nothing_read(variables, state):
    assert store_of(state).read() is None
    assert store_of(None).read() is None


@any_record
@needs_task_state
@pytest.mark.parametrize("emptied", ["none", "variables", "task state"])
def test_either_store_may_be_emptied(variables, state, record, emptied):
    record = written(state, record)
    if emptied != "none":
        {"variables": variables, "task state": state}[emptied].texts.clear()

    assert store_of(state).read() == record


@needs_task_state
@pytest.mark.parametrize("later", ["variables", "task state"])
def test_of_two_stores_the_later_write_is_believed(variables, state, later):
    written(state, an_intent(now=NOW))
    stale = {"variables": state, "task state": variables}[later]
    kept = dict(stale.texts)
    last = written(state, accepted(revision=5))
    stale.texts.clear()
    stale.texts.update(kept)

    assert store_of(state).read() == last


@needs_task_state
def test_a_record_that_was_kept_in_one_place_and_one_in_two_are_the_same(variables, state):
    assert written(state, accepted()) == written(None, accepted())


# What can't be read


@needs_task_state
@any_record
@pytest.mark.parametrize("hidden", [1, 2, 3])
def test_task_state_that_hides_something_for_a_while_is_not_taken_for_nothing(
    variables, state, record, hidden
):
    record = written(state, record)
    variables.texts.clear()
    state.hidden = hidden

    with suppress(PictoryRecordError):
        assert store_of(state).read() == record


@needs_task_state
def test_task_state_that_hides_everything_is_trouble(variables, state):
    state.hidden = 1000

    with pytest.raises(PictoryRecordError, match=r"just written can't be read.*nothing was submitted"):
        store_of(state).read()
    assert store_of(state, has_earlier_tries=False).read() is None, "nor is there anything to hide yet"


@pytest.mark.parametrize("text", ["", HTML, "{}", "null", '{"version": 2}'])
@pytest.mark.parametrize("where", ["variables", "task state"])
def test_what_is_no_record_is_trouble(variables, state, text, where):
    if where == "variables":
        variables.texts[f"{RECORD_PREFIX}{PLACE.digest}_1_ab_pending"] = text
    else:
        state.get = lambda key: text or "-"

    with pytest.raises(PictoryRecordError, match="can't be understood") as raised:
        store_of(state).read()
    message = str(raised.value)
    assert f"{RECORD_PREFIX}{PLACE.digest}* and task state '{STATE_KEY}'" in message
    assert "delete the record to submit again" in message
    assert not isinstance(raised.value, AirflowFailException)


def errors_of_airflow():
    errors = [AirflowException("no such luck"), OSError("the disk is full"), ValueError(HTML)]
    with suppress(ImportError):
        from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse

        errors.append(AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)))
    return errors


any_error = pytest.mark.parametrize("error", errors_of_airflow(), ids=lambda it: type(it).__name__)
any_end = pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=repr)


class OutOfReach:
    """Variables that can't be reached."""

    def __init__(self, error, *, can_list):
        self.error = error
        if can_list:
            self.keys = self.get

    def get(self, *arguments):
        raise self.error

    set = delete = get


@any_error
@pytest.mark.parametrize("can_list", [True, False])
def test_variables_that_fail_stop_the_task_and_airflow_may_try_again(error, can_list):
    with kept_in(OutOfReach(error, can_list=can_list)):
        store = store_of(None)
        for act in (
            store.read,
            store.insist_on_no_other_try,
            lambda: store.write(accepted()),
            lambda: store.remove(accepted()),
            lambda: store.close(accepted()),
            lambda: store.claims([JOB_ID]),
            lambda: store.read_owners([JOB_ID]),
            lambda: store.claim(an_intent(), JOB_ID, Clock(lambda: NOW, lambda: 0.0, lambda _: None)),
        ):
            with pytest.raises(PictoryRecordError, match=type(error).__name__) as raised:
                act()
            assert raised.value.__cause__ is error
            assert not isinstance(raised.value, AirflowFailException)


@any_error
@pytest.mark.parametrize("has_variable", [True, False])
def test_task_state_that_fails_stops_the_task_though_there_may_be_a_variable(
    variables, state, error, has_variable
):
    """It may know more than the Variable does."""
    if has_variable:
        written(None, an_intent(now=NOW))
    state.error = error

    with pytest.raises(PictoryRecordError, match=r"nothing was submitted.*later try") as raised:
        store_of(state).read()
    assert raised.value.__cause__ is error


@any_end
def test_the_end_of_a_task_passes_through(variables, state, end):
    with kept_in(OutOfReach(end, can_list=True)):
        for act in (store_of(None).read, lambda: store_of(None).write(accepted())):
            with pytest.raises(type(end)):
                act()
    state.error = end
    with pytest.raises(type(end)):
        store_of(state).read()


# What can't be written


def refuse(*arguments):
    raise OSError("the disk is full")


@needs_task_state
def test_an_intent_needs_its_variable_since_that_is_how_others_know_of_it(variables, state, monkeypatch):
    monkeypatch.setattr(variables, "set", refuse)

    with pytest.raises(PictoryRecordError, match=r"can't be written.*the disk is full"):
        written(state, an_intent(now=NOW))
    assert STATE_KEY not in state.texts


@needs_task_state
@any_record
def test_one_store_is_enough_for_what_is_true_already(variables, state, record):
    state.error = None
    store = store_of(state)
    store.read()
    state.error = OSError("out of reach")

    last = store.write(record)

    assert store_of(None).read() == last


@needs_task_state
def test_a_job_is_recorded_in_task_state_alone_if_need_be(variables, state, monkeypatch):
    store = store_of(state)
    store.read()
    intent = store.write(an_intent(now=NOW))
    monkeypatch.setattr(variables, "set", refuse)
    store.write(intent.accepted(JOB_ID, NOW))

    assert store_of(state).read().job_id == JOB_ID


# What hides what was written


class BehindSecrets(Variables):
    """Variables as they are read behind a secrets backend, which Airflow asks first and never writes to."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def get(self, key, default):
        return self.answer(super().get(key, default))


def deny(text):
    raise PermissionError("this role may not read it")


HIDING = {
    "nothing": (lambda text: None, "was written and can't be read, so nothing was submitted"),
    "an empty text": (lambda text: "", "was written and is read as something else"),
    "something else": (lambda text: "{}", "was written and is read as something else"),
    "a refusal": (deny, r"was written and can't be read \(PermissionError: this role may not read it\)"),
}


@pytest.mark.parametrize(("answer", "message"), HIDING.values(), ids=HIDING)
@pytest.mark.parametrize("with_state", [pytest.param(True, marks=needs_task_state), False])
def test_a_secrets_backend_that_hides_the_record_stops_the_task_before_anything_is_paid(
    state, answer, message, with_state
):
    state = state if with_state else None
    hidden = BehindSecrets(answer)
    with kept_in(hidden):
        for _ in range(2):
            store = store_of(state)
            last = store.read()
            intent = an_intent(now=NOW, revision=last.revision if last else 0)
            with pytest.raises(PictoryRecordError, match=message) as raised:
                store.write_intent(intent)
            assert "leave those that begin with 'pictory_'" in str(raised.value)
            assert not isinstance(raised.value, AirflowFailException)
            assert hidden.texts == {}, "else the next try would look for a job that was never submitted"


def test_a_record_that_is_read_as_it_was_written_may_be_followed_by_the_post(variables, state):
    intent = store_of(state).write_intent(an_intent(now=NOW))

    assert store_of(state).read() == intent


def test_what_cannot_become_json_is_not_written(variables):
    with pytest.raises(PictoryRecordError, match="can't be written"):
        written(None, an_intent(newest_job_id="\ud800"))


# What is over


@pytest.mark.parametrize("is_needed", [True, False])
@pytest.mark.parametrize("with_state", [pytest.param(True, marks=needs_task_state), False])
def test_a_record_whose_outcome_is_known_keeps_its_variable_only_where_it_must(
    variables, state, is_needed, with_state
):
    state = state if with_state else None
    store = store_of(state)
    store.read()
    store.write(an_intent(now=NOW))
    record = store.write(accepted())
    store.retire(record.but(state=RecordState.DELIVERED), is_needed=is_needed)

    assert len(variables.texts) == (0 if with_state and not is_needed else 1)
    assert store_of(state).read().state is RecordState.DELIVERED
    store.insist_on_no_other_try()


@needs_task_state
def test_a_record_that_cannot_be_kept_elsewhere_keeps_its_variable(variables, state):
    store = store_of(state)
    store.read()
    record = store.write(accepted())
    state.error = OSError("out of reach")

    with pytest.raises(PictoryRecordError, match="can't be written"):
        store.retire(record, is_needed=False)
    assert len(variables.texts) == 1


@pytest.mark.parametrize("with_state", [pytest.param(True, marks=needs_task_state), False])
def test_of_a_refused_submission_nothing_stays_undecided(variables, state, with_state):
    state = state if with_state else None
    store = store_of(state)
    store.read()
    record = store.write(an_intent(now=NOW))
    store.close(record.closed(CloseReason.REFUSED))

    assert variables.texts == {}
    left = store_of(state).read()
    assert left is None or left.state is RecordState.CLOSED


def test_another_try_that_has_written_is_noticed(variables):
    store = store_of(None)
    store.read()
    store.write(an_intent(now=NOW))
    store.insist_on_no_other_try()
    written(None, accepted())

    with pytest.raises(PictoryRecordError, match="Another try of this task has taken over"):
        store.insist_on_no_other_try()


# Claims


def a_clock(meanwhile=lambda: None):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        meanwhile()

    return Clock(lambda: NOW, lambda: 0.0, sleep), slept


def claim(place, job_id=JOB_ID, clock=None):
    store = store_of(None, place)
    intent = store.read() or store.write(an_intent(place=place, now=NOW))
    return store.claim(intent, job_id, clock or a_clock()[0])


def test_a_job_is_the_first_claimants(any_variables):
    claimed = claim(PLACE)

    assert (claimed.job_id, claimed.state, claimed.is_claimed) == (JOB_ID, RecordState.ACCEPTED, True)
    assert store_of(None).read() == claimed
    assert isinstance(claim(OTHER_PLACE), int)
    assert store_of(None, OTHER_PLACE).read().job_id is None
    assert claim(OTHER_PLACE, "another").job_id == "another"
    assert claim(PLACE).job_id == JOB_ID
    assert store_of(None).claims([JOB_ID]).owners(JOB_ID) == {PLACE.digest}


def test_a_claim_counts_only_after_a_pause_where_two_share_a_name(any_variables):
    """Long enough for another claimant who has found the job free to have written its own claim."""
    clock, slept = a_clock()
    claim(PLACE, clock=clock)

    assert slept == ([] if isinstance(open_variables(), ListedVariables) else [PAUSE_BEFORE_CLAIM_COUNTS])
    assert PAUSE_BEFORE_CLAIM_COUNTS >= 1


@pytest.mark.parametrize("is_last", [True, False], ids=["who writes last", "who writes first"])
def test_of_two_who_claim_a_job_in_the_same_moment_no_two_get_it(any_variables, monkeypatch, is_last):
    """Both have found the job free before either has written."""
    stores = {place: store_of(None, place) for place in (PLACE, OTHER_PLACE)}
    intents = {place: store.write(an_intent(place=place, now=NOW)) for place, store in stores.items()}
    other = intents[OTHER_PLACE].accepted(JOB_ID, NOW, is_claimed=True).but(state=RecordState.INTENT)
    write = stores[PLACE]._write_variable

    def write_both(record):
        if record.job_id and is_last:
            stores[OTHER_PLACE]._write_variable(other)
        write(record)
        if record.job_id and not is_last:
            stores[OTHER_PLACE]._write_variable(other)

    monkeypatch.setattr(stores[PLACE], "_write_variable", write_both)
    claimed = stores[PLACE].claim(intents[PLACE], JOB_ID, a_clock()[0])

    if isinstance(open_variables(), ListedVariables):
        assert isinstance(claimed, int), "whoever sees another yields"
        assert store_of(None).claims([JOB_ID]).owners(JOB_ID) == {OTHER_PLACE.digest}
    else:
        assert isinstance(claimed, int) is not is_last, "whoever writes last has it"


def test_a_crash_while_claiming_leaves_an_intent_that_has_to_find_out_again(any_variables):
    def crash():
        raise KeyboardInterrupt

    store = store_of(None)
    intent = store.write(an_intent(now=NOW))
    write = store.write
    store.write = lambda record: crash() if record.job_id else write(record)
    with pytest.raises(KeyboardInterrupt):
        store.claim(intent, JOB_ID, a_clock()[0])
    # Another task with its prompt is undecided, for which the jobs of others are kept track of.
    other = store_of(None, OTHER_PLACE)
    other.write(an_intent(place=OTHER_PLACE, now=NOW))

    left = store_of(None).read()

    assert (left.state, left.job_id, left.is_claimed) == (RecordState.INTENT, None, False)
    assert store_of(None).claims([JOB_ID]).owners(JOB_ID) == set(), "it may take another job in the end"
    assert claim(PLACE, "older").job_id == "older"
    assert claim(OTHER_PLACE).job_id == JOB_ID


def test_a_claim_that_another_task_has_overwritten_is_left_to_it(any_variables):
    mine, theirs = (an_intent(place=place, now=NOW) for place in (PLACE, OTHER_PLACE))
    for intent in (mine, theirs):
        claimed = intent.accepted(JOB_ID, NOW, is_claimed=True).but(state=RecordState.INTENT, revision=2)
        store_of(None, intent.place)._write_variable(claimed)

    assert store_of(None).read().job_id is None
    assert store_of(None).claims([JOB_ID]).owners(JOB_ID) == {OTHER_PLACE.digest}


def test_records_of_those_who_have_a_job_can_be_read(any_variables):
    claim(PLACE)
    written(None, accepted("by response", dag_id="another"), PLACE._replace(dag_id="another"))

    other = store_of(None, OTHER_PLACE)
    owners = other.read_owners([JOB_ID, "by response", "nobody's"])
    assert {(record.place, record.is_claimed) for record in owners} == {
        (PLACE, True),
        (PLACE._replace(dag_id="another"), False),
    }
    assert store_of(None).read_owners([JOB_ID]) == [], "its own is no other's"


# Tries of a task


@pytest.fixture
def task(make_task):
    task = make_task(retries=2)
    task.state = FragileState() if HAS_TASK_STATE else None
    return task


@pytest.fixture
def task_variables(task):
    return task.variables


def empty(task, which):
    (task.variables if which == "variables" else task.state).texts.clear()


either = pytest.mark.parametrize("which", ["variables", pytest.param("task state", marks=needs_task_state)])


@needs_task_state
@either
@pytest.mark.parametrize("go_on", ["retry", "clear"])
def test_a_running_job_is_gone_on_with_whichever_store_was_emptied(task, which, go_on, day_long_pictory):
    job_id = task.run().job_id
    empty(task, which)

    assert getattr(task, go_on)().job_id == job_id
    empty(task, which)
    assert getattr(task, go_on)().job_id == job_id
    assert count(day_long_pictory, POST) == 1


@needs_task_state
@either
def test_a_lost_response_is_found_out_whichever_store_was_emptied(task, which, day_long_pictory):
    day_long_pictory.respond_next("/v1/aistudio/videos", method="POST", status=502, is_processed=True)
    task.fails(PictorySubmissionPendingError)
    empty(task, which)
    (job,) = day_long_pictory.jobs()
    day_long_pictory.set_job(job["job_id"], "completed")

    assert task.retry().job_id == job["job_id"]
    assert count(day_long_pictory, POST) == 1


@needs_task_state
@pytest.mark.parametrize("hidden", [1, 2, 1000])
def test_a_404_of_a_proxy_pays_nothing(task, hidden, day_long_pictory):
    job_id = task.run().job_id
    task.variables.texts.clear()
    task.state.hidden = hidden
    task.instance.retry()
    with suppress(PictoryRecordError):
        assert task.run().job_id == job_id

    assert count(day_long_pictory, POST) == 1


@pytest.mark.parametrize("trouble", ["unread", "unlisted", "a page"])
def test_variables_out_of_reach_pay_nothing(task, trouble, day_long_pictory, monkeypatch):
    job_id = task.run().job_id
    task.instance.retry()
    with monkeypatch.context() as patches:
        if trouble == "unread":
            patches.setattr(task.variables, "get", lambda key, default: default)
        elif trouble == "unlisted":
            patches.setattr(task.variables, "keys", refuse)
        else:
            patches.setattr(task.variables, "get", lambda key, default: HTML)
        task.fails(PictoryRecordError)
    assert task.run().job_id == job_id
    assert count(day_long_pictory, POST) == 1


@needs_task_state
def test_a_refused_submission_leaves_no_doubt_in_either_store(task, day_long_pictory, clock):
    day_long_pictory.respond_next("/v1/aistudio/videos", method="POST", status=403)
    with pytest.raises(Exception, match="nothing is paid"):
        task.run()

    assert task.variables.texts == {}
    task.retry()
    assert clock.slept == []
    assert count(day_long_pictory, POST) == 2


def test_a_post_that_waited_for_others_has_its_window_from_when_it_was_sent(task, day_long_pictory, clock):
    """Between the poll of the newest job and the POST that was lost, refusals were waited out for minutes."""
    day_long_pictory.respond_next(
        "/v1/aistudio/videos", method="POST", status=429, headers={"Retry-After": "50"}, times=2
    )
    day_long_pictory.respond_next("/v1/aistudio/videos", method="POST", status=502, is_processed=False)
    task.fails(PictorySubmissionPendingError)
    waited = sum(clock.slept)
    assert waited >= 60
    task.retry()

    assert sum(clock.slept) - waited == pytest.approx(210, abs=2)
