"""What ``make ui`` starts and ends, as a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests

from tests.e2e.real_airflow import free_port

ROOT = Path(__file__).parents[2]
DAG_ID = "example_pictory_generate_video"
SECONDS_TO_END = 60

pytestmark = pytest.mark.end_to_end


class UserInterface:
    """``make ui`` on a free port, as a process of its own."""

    def __init__(self, home):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        self.session = requests.Session()
        self.session.trust_env = False
        command = [sys.executable, "scripts/ui.py", "--port", str(self.port), "--home", str(home)]
        self.process = subprocess.Popen(
            [*command, "--render-seconds", "5"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if "Ctrl-C ends it" in line:
                break
        else:
            log = home / "standalone.log"
            pytest.fail("".join(self.said) + (log.read_text()[-4000:] if log.exists() else ""))
        token = self.session.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method, path, body=None):
        response = self.session.request(method, f"{self.url}/api/v2{path}", json=body, timeout=30)
        assert response.ok, response.text
        return response.json()

    def wait_for(self, look, is_there, seconds=120):
        seen, give_up_at = None, time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            # While several processes write to its database, a busy Airflow lets one request wait for long.
            with suppress(requests.ReadTimeout):
                seen = look()
                if is_there(seen):
                    return seen
            time.sleep(0.5)
        raise AssertionError(f"last seen: {seen}")

    def run(self, dag_id, conf):
        """Trigger a DAG and wait until its run has ended."""
        self.wait_for(
            lambda: [dag["dag_id"] for dag in self.call("GET", "/dags?limit=100")["dags"]],
            lambda seen: dag_id in seen,
        )
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        path = f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}"
        ended = self.wait_for(
            lambda: self.call("GET", path), lambda seen: seen["state"] in ("success", "failed")
        )
        assert ended["state"] == "success"
        return str(run["dag_run_id"])

    def stop(self):
        """Press ctrl-C, and give the exit status."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(timeout=SECONDS_TO_END)
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
        return status


@pytest.fixture(scope="module")
def interface(tmp_path_factory):
    interface = UserInterface(tmp_path_factory.mktemp("ui"))
    yield interface
    if interface.process.poll() is None:
        assert interface.stop() == 0


@pytest.fixture(scope="module")
def finished(interface, tmp_path_factory):
    """Return the id of a run of the first example that has succeeded."""
    return interface.run(DAG_ID, {"folder": str(tmp_path_factory.mktemp("videos"))})


def test_an_example_generates_a_video_that_can_be_played(interface, finished):
    path = f"/dags/{DAG_ID}/dagRuns/{finished}/taskInstances/wait/links"
    url = interface.call("GET", path)["extra_links"]["Play video"]

    assert interface.session.get(url, timeout=30).headers["Content-Type"] == "video/mp4"


def test_the_nightly_batch_finds_its_pool(interface):
    pools = interface.call("GET", "/pools")["pools"]

    assert {pool["name"]: pool["slots"] for pool in pools}["pictory"] == 4


def test_ctrl_c_ends_everything(interface, finished):
    assert interface.stop() == 0
    with pytest.raises(requests.ConnectionError):
        interface.session.get(interface.url, timeout=5)


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "scripts/ui.py", "--port", str(port), "--home", str(tmp_path)]
        response = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert response.returncode == 1
    assert f"port {port} can't be used" in response.stdout
    assert "make ui PORT=" in response.stdout
