"""Faults are set by options, by the fixture and at run time by the control surface, to the same effect."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_pictory.sandbox.background import PictorySandbox
from airflow_provider_pictory.sandbox.faults import InvalidFaultError
from airflow_provider_pictory.sandbox.faults.kinds import ServerError

SERVER_ERROR = {
    "kind": "server-error",
    "rate": 1.0,
    "after": 0.0,
    "status": 500,
    "has_body": True,
    "is_processed": False,
    "seconds": 1.0,
    "retry_after": "none",
}


@pytest.fixture
def control(pictory_sandbox):
    def call(method, body=None, **arguments):
        arguments = arguments or {"json": body}
        return requests.request(method, f"{pictory_sandbox.url}/sandbox/faults", timeout=5, **arguments)

    return call


class TestInPython:
    def test_faults_are_set_replaced_added_and_cleared(self, pictory_sandbox, client):
        def status():
            return client.get("/v1/quota").status_code

        assert (pictory_sandbox.faults(), status()) == ([], 200)
        pictory_sandbox.set_faults([ServerError(count=1), "html-page:count=1"])
        pictory_sandbox.add_fault({"kind": "cdn-refusal"})
        assert [status() for _ in range(4)] == [500, 200, 403, 403]
        assert [(it["kind"], it["times"]) for it in pictory_sandbox.faults()] == [
            ("server-error", 1),
            ("html-page", 1),
            ("cdn-refusal", 2),
        ]
        pictory_sandbox.set_faults(["server-error:status=503"])
        assert status() == 503
        pictory_sandbox.clear_faults()
        assert (pictory_sandbox.faults(), status()) == ([], 200)
        assert pictory_sandbox.counts()["faults"] == {"server-error": 2, "html-page": 1, "cdn-refusal": 2}

    def test_a_wrong_one_is_an_error_at_once_and_changes_nothing(self, pictory_sandbox):
        pictory_sandbox.add_fault("server-error")

        with pytest.raises(InvalidFaultError):
            PictorySandbox(faults=["nonsense"])
        with pytest.raises(InvalidFaultError):
            pictory_sandbox.set_faults(["html-page", "nonsense"])
        with pytest.raises(InvalidFaultError):
            pictory_sandbox.add_fault("nonsense")
        assert pictory_sandbox.faults() == [{**SERVER_ERROR, "times": 0}]

    def test_a_seed_repeats_a_run(self, pictory_sandbox_factory, client_of):
        def run(seed=None):
            sandbox = pictory_sandbox_factory(faults=["server-error:rate=0.5"], seed=seed)
            client = client_of(sandbox)
            return sandbox.seed, [client.get("/v1/quota").status_code for _ in range(30)]

        seed, statuses = run()

        assert set(statuses) == {200, 500}
        assert run(seed) == (seed, statuses)
        assert run(seed + 1)[1] != statuses


class TestOverHttp:
    def test_faults_are_set_shown_added_and_cleared(self, client, control):
        assert control("GET").json()["faults"] == []

        response = control("PUT", {"faults": ["server-error:count=1", {"kind": "slow-response"}], "seed": 7})
        assert response.json() == control("GET").json()
        assert response.json()["seed"] == 7
        assert response.json()["faults"][0] == {**SERVER_ERROR, "count": 1, "times": 0}
        assert [it["kind"] for it in response.json()["faults"]] == ["server-error", "slow-response"]

        assert control("PUT", {"faults": ["server-error:count=1"]}).json()["seed"] == 7
        for fault in ("html-page:count=1", {"kind": "cdn-refusal"}):
            assert control("POST", fault).status_code == 200
        assert [client.get("/v1/quota").status_code for _ in range(3)] == [500, 200, 403]
        assert [it["times"] for it in control("GET").json()["faults"]] == [1, 1, 1]

        assert control("DELETE").json() == {"seed": 7, "faults": []}
        assert client.get("/v1/quota").status_code == 200

    @pytest.mark.parametrize(
        ("method", "body"),
        [
            ("POST", "nonsense"),
            ("POST", {"kind": "server-error", "status": 404}),
            ("POST", ["server-error"]),
            ("POST", None),
            ("POST", "\n\ud800:rate=\r\n"),
            ("PUT", ["server-error"]),
            ("PUT", {}),
            ("PUT", {"faults": "server-error"}),
            ("PUT", {"faults": None}),
            ("PUT", {"faults": [None]}),
            ("PUT", {"faults": ["html-page"], "seed": "7"}),
            ("PUT", {"faults": ["html-page"], "seed": True}),
            ("PUT", {"faults": ["html-page"], "rate": 1}),
        ],
    )
    def test_a_wrong_one_is_refused_with_the_reason_and_changes_nothing(self, control, method, body):
        control("POST", "server-error")

        response = control(method, body)

        assert response.status_code == 400
        assert response.json()["message"]
        assert [it["kind"] for it in control("GET").json()["faults"]] == ["server-error"]

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
    def test_what_is_no_json_is_refused(self, control, content):
        assert control("POST", data=content).status_code == 400
        assert control("PUT", data=content).status_code == 400

    def test_no_fault_ever_reaches_the_control_surface(self, pictory_sandbox, control):
        pictory_sandbox.set_faults(["drop-before-processing:path=/"])

        assert control("GET").status_code == 200
        assert requests.get(f"{pictory_sandbox.url}/sandbox/counts", timeout=5).status_code == 200
