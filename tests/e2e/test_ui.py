"""
A person at the UI that ``make ui`` starts, in a real browser.

With ``PICTORY_SCREENSHOTS`` set to a folder, the pictures of the documentation are taken there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests

from tests.e2e.real_airflow import free_port

selenium = pytest.importorskip("selenium", reason="the group browser isn't installed")

from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver import Chrome, ChromeOptions, ChromeService  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support import expected_conditions as expected  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
ROOT = Path(__file__).parents[2]
DAG_ID = "example_pictory_generate_video"
SECONDS_TO_START = 240
SECONDS_TO_END = 60
PATIENCE = 60

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER), reason="needs Chromium and its driver (Debian: chromium-driver)"
    ),
]


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
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
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


@pytest.fixture
def browser(tmp_path):
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"):
        options.add_argument(argument)
    # It shall talk to this machine alone.
    for feature in ("quic", "background-networking", "component-update", "sync"):
        options.add_argument(f"--disable-{feature}")
    options.add_argument("--no-first-run")
    options.add_argument("--no-proxy-server")
    options.add_argument(f"--user-data-dir={tmp_path / 'browser'}")
    browser = Chrome(options=options, service=ChromeService(CHROMEDRIVER))
    yield browser
    browser.quit()


def see(browser, locator):
    """Wait until something is there to be clicked."""
    return WebDriverWait(browser, PATIENCE).until(expected.element_to_be_clickable(locator))


def take_picture(browser, name):
    folder = os.environ.get("PICTORY_SCREENSHOTS")
    if folder:
        time.sleep(3)
        browser.save_screenshot(str(Path(folder) / name))


def test_a_click_on_the_task_plays_the_video(interface, finished, browser):
    browser.get(f"{interface.url}/dags/{DAG_ID}/runs/{finished}/tasks/wait/details")
    play = see(browser, (By.LINK_TEXT, "Play video"))
    take_picture(browser, "play-video.png")
    play.click()
    WebDriverWait(browser, PATIENCE).until(expected.number_of_windows_to_be(2))
    browser.switch_to.window(browser.window_handles[-1])
    see(browser, (By.TAG_NAME, "video"))
    WebDriverWait(browser, PATIENCE).until(
        lambda it: it.execute_script("return document.querySelector('video').currentTime > 0.2")
    )

    assert browser.execute_script("return document.querySelector('video').duration") == pytest.approx(
        5, abs=0.5
    )


def test_another_button_opens_pictory(interface, finished, browser):
    browser.get(f"{interface.url}/dags/{DAG_ID}/runs/{finished}/tasks/generate/details")
    button = see(browser, (By.LINK_TEXT, "Pictory dashboard"))

    assert button.get_attribute("href").startswith("https://app.pictory.ai")


def test_the_graph_shows_the_three_tasks(interface, finished, browser):
    browser.get(f"{interface.url}/dags/{DAG_ID}/runs/{finished}")
    see(browser, (By.CSS_SELECTOR, "button[aria-label^='Show Graph']")).click()
    for task_id in ("generate", "wait", "save"):
        see(browser, (By.XPATH, f"//*[contains(@class, 'react-flow__node')]//*[text()='{task_id}']"))
    take_picture(browser, "graph.png")


def add_connection(interface, browser, connection_id, key, port):
    """Make a connection to the sandbox as a person does."""
    host = re.search(r"the sandbox at (\S+)", "".join(interface.said))[1]
    browser.get(f"{interface.url}/connections")
    see(browser, (By.XPATH, "//button[contains(., 'Add Connection')]")).click()
    see(browser, (By.NAME, "connection_id")).send_keys(connection_id)
    kind = see(browser, (By.CSS_SELECTOR, "[role=dialog] input[role=combobox]"))
    kind.send_keys("Pictory")
    see(browser, (By.XPATH, "//*[@role='option' and normalize-space()='Pictory']")).click()
    for name, text in (("host", host), ("password", key), ("port", port)):
        see(browser, (By.NAME, name)).send_keys(text)
    see(browser, (By.XPATH, "//*[@role='dialog']//button[contains(., 'Save')]")).click()
    interface.wait_for(
        lambda: [
            connection["connection_id"] for connection in interface.call("GET", "/connections")["connections"]
        ],
        lambda there: connection_id in there,
    )


def click_test(browser, connection_id):
    """Click the button in a connection's row, and give what the browser says."""
    row = f"//tr[contains(., '{connection_id}')]"
    see(browser, (By.XPATH, f"{row}//button[contains(@aria-label, 'Test')]")).click()
    toasts = (By.XPATH, "//*[@data-scope='toast' and @data-part='root']")
    # Another one says that the connection was made.
    return WebDriverWait(browser, PATIENCE, ignored_exceptions=[StaleElementReferenceException]).until(
        lambda it: next((t for t in (e.text for e in it.find_elements(*toasts)) if _is_whole(t)), None)
    )


def _is_whole(toast):
    """Tell whether the outcome of a test has come with its words, which appear after the title."""
    return "Test Connection" in toast and len(toast.strip().splitlines()) > 1


@pytest.mark.parametrize(
    ("key", "outcome", "words"),
    [
        ("pictai_any", "Test Connection Successful", "Pictory accepts the key"),
        ("no_key_of_pictory", "Test Connection Failed", "the API key is wrong or was revoked"),
    ],
)
def test_a_click_tests_a_connection_that_has_a_port(interface, browser, key, outcome, words):
    add_connection(interface, browser, f"made_with_{key}", key, "443")

    said = click_test(browser, f"made_with_{key}")
    assert outcome in said
    assert words in said


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
