"""Faults are checked when they are made, and read the same from Python, JSON and text."""

from __future__ import annotations

import json
import math
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.sandbox.faults import (
    FaultKind,
    InvalidFaultError,
    parse_fault,
    read_fault,
    read_faults,
)
from airflow_provider_pictory.sandbox.faults.explaining import explain_faults
from airflow_provider_pictory.sandbox.faults.kinds import (
    KINDS,
    ForeignJobs,
    JobFails,
    RateLimit,
    ServerError,
    SlowResponse,
)

PARAMETERS = sorted({name for model in KINDS.values() for name in model.parameters()})


@pytest.mark.parametrize(("kind", "model"), KINDS.items())
def test_every_kind_needs_no_parameter_and_is_the_same_in_every_form(kind, model):
    fault = model()

    assert parse_fault(kind) == read_fault(fault) == read_fault({"kind": FaultKind(kind)}) == fault
    assert read_fault(json.loads(json.dumps(fault.model_dump(exclude_none=True)))) == fault
    assert pickle.loads(pickle.dumps(fault)) == fault
    assert hash(fault) == hash(model())


@pytest.mark.parametrize(("kind", "model"), KINDS.items())
def test_every_kind_is_explained_with_all_its_parameters(kind, model):
    explanation = explain_faults()

    assert max(len(line) for line in explanation.splitlines()) < 110
    described = explanation.partition(f"\n{kind}\n")[2]
    assert " ".join(described.split()).startswith(" ".join(model.__doc__.split()))
    for name in model.parameters():
        assert name.replace("_", "-") in described


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("server-error", ServerError(status=500, has_body=True, is_processed=False)),
        (
            " server-error : status = 503 , has-body=no,is_processed=TRUE",
            ServerError(status=503, has_body=False, is_processed=True),
        ),
        (
            "rate-limit:budget=20,window=0.5,retry-after=date,method=get,path=/v1/jobs/",
            RateLimit(
                budget=20,
                window=0.5,
                retry_after="date",
                method="GET",
                path="/v1/jobs/",
            ),
        ),
        (
            "slow-response:seconds=2,rate=0.5,count=3,after=10,until=40",
            SlowResponse(seconds=2, rate=0.5, count=3, after=10, until=40),
        ),
        ("job-fails:error-message=a=b: c", JobFails(error_message="a=b: c")),
        ("foreign-jobs:per-second=2", ForeignJobs(per_second=2.0, same_prompt=True)),
    ],
)
def test_text_is_read(text, fault):
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''"),
        (":", "''"),
        ("sever-error", "'sever-error' is no kind of fault, choose server-error, rate-limit, "),
        ("server-error:", "'' in 'server-error:' isn't of the form name=value"),
        ("server-error:rate=0.1,", "''"),
        ("server-error:rate", "'rate' in"),
        ("server-error:rat=1", "server-error has no parameter 'rat', only status, has-body, "),
        ("server-error:rate=lots", "server-error: rate must be a number from 0 to 1, not 'lots'"),
        ("server-error:rate=2", "server-error: rate must be a number from 0 to 1, not '2'"),
        ("server-error:rate=nan", "not 'nan'"),
        ("server-error:rate=1,rate=1", "'rate' is given twice"),
        ("server-error:has-body=maybe", "has-body must be yes or no, not 'maybe'"),
        ("server-error:status=404", "status must be an HTTP status from 500 to 599, not '404'"),
        ("server-error:status=600", "not '600'"),
        ("server-error:count=0", "count must be a whole number from 1 up, not '0'"),
        ("server-error:after=5,until=5", "until must be later than after, not '5'"),
        ("server-error:path=v1", "path must be"),
        ("server-error:method=GET /", "method must be"),
        ("server-error:retry-after=soon", "retry-after must be seconds, date or none, not 'soon'"),
        (
            "slow-response:status=500",
            "slow-response has no parameter 'status', only seconds, path, method, rate",
        ),
        ("slow-response:seconds=inf", "not 'inf'"),
        ("slow-response:seconds=-1", "not '-1'"),
        ("job-fails:path=/v1", "job-fails has no parameter 'path'"),
        ("rate-limit:budget=1.5", "budget must be a whole number from 1 up, not '1.5'"),
        ("rate-limit:budget=" + "9" * 5000, "budget must be"),
        ("rate-limit:window=0", "window must be"),
    ],
)
def test_a_wrong_part_is_named_in_one_sentence(text, named):
    with pytest.raises(InvalidFaultError) as caught:
        parse_fault(text)

    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def names_in(text):
    """Find the names of parameters in a text, however they are written."""
    return {
        word for word in re.findall(r"[a-z]+(?:[-_][a-z]+)*", text) if word.replace("-", "_") in PARAMETERS
    }


@pytest.mark.parametrize(("kind", "model"), KINDS.items())
def test_errors_write_names_as_the_form_does_that_they_are_about(kind, model):
    listed = names_in(explain_faults())
    assert not any("_" in name for name in listed)

    for text in (f"{kind}:nonsense=1", *(f"{kind}:{name}=" for name in model.parameters())):
        with pytest.raises(InvalidFaultError) as caught:
            parse_fault(text)
        assert names_in(str(caught.value)) <= listed
    for name in ("nonsense", *model.parameters()):
        with pytest.raises(InvalidFaultError) as caught:
            read_fault({"kind": kind, name: []})
        assert not any("-" in found for found in names_in(str(caught.value)))


@pytest.mark.parametrize("kind", ["server-error", "server_error"])
@pytest.mark.parametrize("name", ["has-body", "has_body"])
def test_both_spellings_are_read_in_every_form(kind, name):
    wanted = ServerError(has_body=False)

    assert parse_fault(f"{kind}:{name}=no") == read_fault({"kind": kind, name: False}) == wanted
    with pytest.raises(InvalidFaultError, match="twice"):
        read_fault({"kind": kind, "has-body": False, "has_body": False})


@pytest.mark.parametrize(
    "form",
    [
        None,
        7,
        [],
        {},
        {"kind": None},
        {"kind": []},
        {"kind": "nonsense"},
        {"kind": "slow-response", "seconds": "1"},
        {"kind": "slow-response", "seconds": True},
        {"kind": "slow-response", "seconds": math.nan},
        {"kind": "slow-response", "seconds": 10**400},
        {"kind": "slow-response", "times": 1},
        {"kind": "slow-response", "count": 1.0},
        {"kind": "slow-response", "path": []},
        {"kind": "server-error", "has_body": "yes"},
        {"kind": "server-error", "retry_after": 1},
        {"kind": "server-error", "retry_after": "soon"},
        {1: 2},
    ],
)
def test_a_wrong_value_of_whatever_type_is_the_same_error(form):
    with pytest.raises(InvalidFaultError):
        read_fault(form)


@pytest.mark.parametrize(
    ("model", "values", "named"),
    [
        (
            ServerError,
            {"status": 404},
            "server-error: status must be an HTTP status from 500 to 599, not 404",
        ),
        (ServerError, {"has_body": "yes"}, "server-error: has_body must be true or false, not 'yes'"),
        (ServerError, {"after": 5, "until": 5}, "server-error: until must be later than after, not 5"),
        (
            SlowResponse,
            {"budget": 1},
            "slow-response has no parameter 'budget', only seconds, path, method, ",
        ),
    ],
)
def test_a_model_made_in_python_is_checked_as_well(model, values, named):
    with pytest.raises(InvalidFaultError) as caught:
        model(**values)

    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    "forms", [None, 7, "server-error", {"kind": "server-error"}, b"x", ["server-error", 7]]
)
def test_several_faults_are_a_list_of_them(forms):
    with pytest.raises(InvalidFaultError):
        read_faults(forms)


def test_null_stands_for_the_default():
    assert read_fault({"kind": "slow-response", "rate": None, "seconds": None}) == SlowResponse()


def read_or_refused(form):
    """Read a fault, or give None where it was refused as documented."""
    try:
        fault = read_fault(form)
    except InvalidFaultError as error:
        complaint = str(error)
    else:
        assert read_fault(json.loads(json.dumps(fault.model_dump(exclude_none=True)))) == fault
        return fault
    assert complaint.isprintable()


@given(st.text(max_size=40) | st.text("abkr:=,-_01", max_size=40).map("server-error:".__add__))
def test_any_text_is_a_fault_or_the_one_error(text):
    read_or_refused(text)


VALUES = st.one_of(
    st.integers(-5, 700).map(str),
    st.floats().map(str),
    st.sampled_from(["yes", "no", "date", "/v1", "x", ""]),
)


@given(
    st.sampled_from(list(KINDS)),
    st.dictionaries(st.sampled_from(PARAMETERS).map(lambda name: name.replace("_", "-")), VALUES),
)
def test_what_looks_like_a_fault_is_one_or_the_one_error(kind, values):
    text = f"{kind}:" + ",".join(f"{name}={value}" for name, value in values.items())
    fault = read_or_refused(text)

    assert fault is None or fault.kind == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries({"kind": st.sampled_from(list(KINDS))}, optional=dict.fromkeys(PARAMETERS, JSON))
)
def test_any_json_is_a_fault_or_the_one_error(document):
    read_or_refused(document)
