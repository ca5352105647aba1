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

from airflow_provider_pictory.sandbox import command
from airflow_provider_pictory.sandbox.command import main
from airflow_provider_pictory.sandbox.faults.kinds import KINDS
from airflow_provider_pictory.sandbox.settings import Settings
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


def test_it_says_where_it_is_responds_and_ends_cleanly(environment, tmp_path):
    with running({**environment, "TMPDIR": str(tmp_path)}, "--port", "0") as process:
        found = connection(process)
        assert found["conn_type"] == "pictory"
        assert found["host"] in process.lines[0]
        with Client(found["host"], found["password"]) as client:
            job_id = client.submitted()
            assert client.data(job_id) == {"status": "in-progress"}
            assert client.ai_credits()["limit"] == 22000
            assert list(tmp_path.iterdir())

            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=10)

        assert process.returncode == 0
        assert output == ""
        assert "Traceback" not in errors
        assert list(tmp_path.iterdir()) == []


def test_the_options_are_obeyed(environment):
    options = ["--port", "0", "--render-seconds", "0", "--credits", "10", "--api-key", "pictai_it's mine"]
    with running(environment, *options, "--no-sources") as process:
        found = connection(process)
        assert found["password"] == "pictai_it's mine"
        with Client(found["host"], found["password"]) as client:
            nowhere = client.submitted(firstFrameImageUrl="http://127.0.0.1:1/sun.png")
            assert client.data(nowhere)["status"] == "completed"
            assert client.submit().status_code == 402
        with Client(found["host"], "pictai_other") as client:
            assert client.submit().status_code == 401


def test_it_ends_in_time_though_a_video_is_being_rendered_and_a_client_waits(environment, tmp_path):
    with running({**environment, "TMPDIR": str(tmp_path)}, "--port=0", "--render-seconds=0") as process:
        found = connection(process)
        with Client(found["host"], found["password"]) as client:
            url = client.data(client.submitted(duration="10s"))["url"]
        address = (found["host"].split("/")[2].split(":")[0], int(found["host"].rsplit(":", 1)[1]))
        with socket.create_connection(address) as waiting:
            waiting.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

            process.send_signal(signal.SIGTERM)

            assert process.wait(timeout=10) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_one_sentence(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1

    assert capsys.readouterr() == (
        "",
        f"pictory-sandbox: 127.0.0.1:{port} is taken: choose another --port, or 0 for any free one.\n",
    )


def test_a_host_that_can_t_be_is_one_sentence(capsys):
    assert main(["--port", "0", "--host", "192.0.2.1"]) == 1

    said = capsys.readouterr().err
    assert re.fullmatch(r"pictory-sandbox: can't start at 192\.0\.2\.1:0: .+\.\n", said)


@pytest.mark.parametrize("package", ["aiohttp", "av", "PIL"])
def test_a_missing_package_is_one_sentence(environment, tmp_path, package):
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('gone', name={package!r})")
    path = f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"

    finished = subprocess.run(
        [*COMMAND, "--port", "0"],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

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


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--fault", "sever-error"], "argument --fault: 'sever-error' is no kind of fault"),
        (["--fault", "server-error:rate=2"], "rate must be a number from 0 to 1, not '2'"),
        (["--fault", "server-error:%d=%s"], "has no parameter '%d', only"),
        (["--fault", "html-page", "--fault", ""], "'' is no kind of fault"),
        (["--seed", "x"], "argument --seed"),
    ],
)
def test_a_wrong_fault_is_explained(capsys, options, named):
    with pytest.raises(SystemExit) as ended:
        main(options)

    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_all_faults_are_listed_and_help_names_them_and_every_option(capsys):
    for option in ("--list-faults", "--help"):
        with pytest.raises(SystemExit) as ended:
            main([option])
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        for kind in KINDS:
            assert re.search(rf"(?<![a-z-]){kind}(?![a-z-])", shown)
    for name in ("host", "port", "render-seconds", "credits", "api-key", "no-sources", "fault", "seed"):
        assert f"--{name}" in shown


@pytest.fixture
def settings_of(monkeypatch):
    """Run the command up to where it would listen, and give its settings."""

    def settings_of(*options):
        found = []

        async def serve(settings):
            found.append(settings)

        monkeypatch.setattr(command, "_serve", serve)
        assert main(options) == 0
        return found[0]

    return settings_of


def test_without_options_nothing_goes_wrong_and_sources_are_fetched(settings_of):
    assert settings_of() == Settings(port=command.DEFAULT_PORT)
    for option in ("--no-sources", "--no-fetch-sources"):
        assert not settings_of(option).fetch_sources


def test_it_says_what_goes_wrong_who_can_reach_it_and_what_is_asked(environment):
    options = ["--port=0", "--host=0.0.0.0", "--fault=server-error:status=503,count=1", "--fault=html-page"]
    with running(environment, *options, "--seed", "7") as process:
        url = connection(process)["host"]
        warning, faults = process.stderr.readline(), process.stderr.readline()
        found = requests.get(f"{url}/sandbox/faults", timeout=5).json()
        statuses = [requests.get(f"{url}/pictoryapis/v1/quota", timeout=5).status_code for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)

    assert "other machines may reach this sandbox" in warning
    assert faults.strip().endswith("Going wrong on purpose: server-error, html-page; --seed 7 repeats it")
    assert (found["seed"], [it["kind"] for it in found["faults"]]) == (7, ["server-error", "html-page"])
    assert statuses == [503, 200]
    assert '"GET /pictoryapis/v1/quota HTTP/1.1" 503' in errors
