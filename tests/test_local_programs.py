"""What the demo and the UI start: it goes on however long they run, and nothing of it is left behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests
from requests.utils import should_bypass_proxies

SCRIPTS = Path(__file__).parents[1] / "scripts"

STUBBORN = """
import signal, time
for end_signal in (signal.SIGINT, signal.SIGTERM):
    signal.signal(end_signal, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""

WAITS_FOR_ITS_END = f"""
import os, signal, sys, time
sys.path.insert(0, {str(SCRIPTS)!r})
from local_programs import end_as_after_ctrl_c
end_as_after_ctrl_c()
try:
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(0.2)
    print("goes on")
except KeyboardInterrupt:
    print("cleans up")
"""


@pytest.fixture
def local_programs():
    specification = importlib.util.spec_from_file_location("local_programs", SCRIPTS / "local_programs.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_sandbox_responds_however_often_it_was_asked(local_programs):
    with local_programs.sandbox(1) as connection, requests.Session() as session:
        session.trust_env = False
        # Its log of these is more than a pipe holds that nobody reads.
        for _ in range(40):
            response = session.get(f"{connection['host']}/sandbox/counts?{'x' * 4000}", timeout=5)

    assert response.status_code == 200


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_runs_on_this_machine_is_asked_without_the_user_s_proxy(
    local_programs, monkeypatch, tmp_path, name
):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv(name, "intranet.example.com")

    environment = local_programs.airflow_environment(tmp_path, {})

    for variable in ("no_proxy", "NO_PROXY"):
        bypassed = [
            should_bypass_proxies(url, no_proxy=environment[variable])
            for url in ("http://127.0.0.1:8765", "http://intranet.example.com", "https://api.pictory.ai")
        ]
        assert bypassed == [True, True, False]


@pytest.fixture
def usual_ctrl_c():
    """Let ctrl-C do what it usually does, also in a shell's background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@pytest.mark.usefixtures("usual_ctrl_c")
def test_a_second_ctrl_c_leaves_nothing_behind(local_programs, monkeypatch):
    monkeypatch.setattr(local_programs, "SECONDS_TO_END", 3)
    again = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

    context = local_programs.child(sys.executable, "-c", STUBBORN)
    process = context.__enter__()
    process.stdout.readline()

    again.start()
    with pytest.raises(KeyboardInterrupt):
        context.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    has_ended = process.poll() is not None
    process.kill()

    assert has_ended


@pytest.mark.parametrize(
    ("disposition", "word"),
    [(signal.SIG_DFL, "cleans up"), (signal.SIG_IGN, "goes on")],
    ids=["usual", "nohup"],
)
def test_a_closed_terminal_ends_everything_but_what_nohup_started(disposition, word):
    response = subprocess.run(
        [sys.executable, "-c", WAITS_FOR_ITS_END],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, disposition),
    )

    assert response.stdout.strip() == word
