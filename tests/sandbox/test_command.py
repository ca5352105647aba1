"""The command, run as its users run it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests

from airflow_provider_pictory.sandbox.command import main
from tests.sandbox.client import Client

COMMAND = [
    sys.executable,
    "-c",
    "import sys; from airflow_provider_pictory.sandbox.command import main; sys.exit(main())",
]


@pytest.fixture
def environment(pytestconfig):
    return {**os.environ, "PYTHONPATH": str(pytestconfig.rootpath)}


@contextmanager
def running(environment, *options):
    """Start the command and wait for its two lines."""
    process = subprocess.Popen(
        [*COMMAND, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        process.lines = [process.stdout.readline(), process.stdout.readline()]
        yield process
    finally:
        process.kill()
        process.communicate()


def connection(process):
    """What a shell would put into AIRFLOW_CONN_PICTORY_DEFAULT when the line is pasted."""
    export, assignment = shlex.split(process.lines[1])
    name, value = assignment.split("=", 1)
    assert (export, name) == ("export", "AIRFLOW_CONN_PICTORY_DEFAULT")
    return json.loads(value)


def run(environment, *options):
    return subprocess.run(
        [*COMMAND, *options], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_responses_and_ends_cleanly(environment, tmp_path, end):
    with running({**environment, "TMPDIR": str(tmp_path)}, "--port", "0") as process:
        found = connection(process)
        assert found["conn_type"] == "pictory"
        assert found["host"] in process.lines[0]
        with Client(found["host"], found["password"]) as client:
            job_id = client.submitted()
            assert client.data(job_id) == {"status": "in-progress"}
            assert client.ai_credits()["limit"] == 22000
            assert list(tmp_path.iterdir())

            process.send_signal(end)
            output, errors = process.communicate(timeout=10)

        assert process.returncode == 0
        assert output == ""
        assert "Traceback" not in errors
        assert list(tmp_path.iterdir()) == []


def test_the_options_are_obeyed(environment):
    options = ["--port", "0", "--render-seconds", "0", "--credits", "10", "--api-key", "pictai_it's mine"]
    with running(environment, *options) as process:
        found = connection(process)
        assert found["password"] == "pictai_it's mine"
        with Client(found["host"], found["password"]) as client:
            assert client.data(client.submitted())["status"] == "completed"
            assert client.submit().status_code == 402
        with Client(found["host"], "pictai_other") as client:
            assert client.submit().status_code == 401


def test_it_ends_in_time_though_a_video_is_being_rendered_and_a_client_waits(environment):
    with running(environment, "--port", "0", "--render-seconds", "0") as process:
        found = connection(process)
        with Client(found["host"], found["password"]) as client:
            url = client.data(client.submitted(duration="10s"))["url"]
        address = (found["host"].split("/")[2].split(":")[0], int(found["host"].rsplit(":", 1)[1]))
        with socket.create_connection(address) as waiting:
            waiting.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

            process.send_signal(signal.SIGTERM)

            assert process.wait(timeout=10) == 0


def test_sources_are_left_alone_where_they_shall_be(environment):
    nowhere = "http://127.0.0.1:1/sun.png"
    left_alone = [((option,), "completed") for option in ("--no-sources", "--no-fetch-sources")]
    for options, status in (((), "failed"), *left_alone):
        with running(environment, "--port", "0", "--render-seconds", "0", *options) as process:
            found = connection(process)
            with Client(found["host"], found["password"]) as client:
                assert client.data(client.submitted(firstFrameImageUrl=nowhere))["status"] == status


def test_a_taken_port_is_one_sentence(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = run(environment, "--port", str(port))

    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr == (
        f"pictory-sandbox: 127.0.0.1:{port} is taken: choose another --port, or 0 for any free one.\n"
    )


def test_a_host_that_can_t_be_is_one_sentence(environment):
    finished = run(environment, "--port", "0", "--host", "192.0.2.1")

    assert finished.returncode == 1
    assert re.fullmatch(r"pictory-sandbox: can't start at 192\.0\.2\.1:0: .+\.\n", finished.stderr)


@pytest.mark.parametrize("package", ["aiohttp", "av", "PIL"])
def test_a_missing_package_is_one_sentence(environment, tmp_path, package):
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('gone', name={package!r})")
    path = f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"

    finished = run({**environment, "PYTHONPATH": path}, "--port", "0")

    assert finished.returncode == 1
    assert finished.stderr == (
        f"pictory-sandbox: the package {package} is missing: install them all with "
        "pip install 'airflow-provider-pictory[sandbox]'.\n"
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "70000"],
        ["--port", "x"],
        ["--render-seconds", "-1"],
        ["--credits", "nan"],
        ["--credits", "inf"],
        ["--nonsense"],
    ],
)
def test_a_wrong_option_is_explained(capsys, options):
    with pytest.raises(SystemExit) as ended:
        main(options)

    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_help_names_every_option_and_needs_no_package(environment):
    finished = run(environment, "--help")

    assert finished.returncode == 0
    for option in ("--host", "--port", "--render-seconds", "--credits", "--api-key", "--no-sources"):
        assert option in finished.stdout


def test_requests_are_shown_as_they_come(environment):
    with running(environment, "--port", "0") as process:
        url = connection(process)["host"]
        requests.get(f"{url}/pictoryapis/v1/quota", timeout=5)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)

    assert '"GET /pictoryapis/v1/quota HTTP/1.1" 401' in errors
