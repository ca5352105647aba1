"""
A person at Airflow's UI, in a real browser.

With ``PICTORY_SCREENSHOTS`` set to a folder, the pictures of the documentation are taken there.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

selenium = pytest.importorskip("selenium", reason="the group browser isn't installed")

from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver import Chrome, ChromeOptions, ChromeService  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support import expected_conditions as expected  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

from tests.conftest import API_KEY  # noqa: E402
from tests.e2e.conftest import EXAMPLE  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
PATIENCE = 60

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER),
        reason="the UI wasn't tested: needs Chromium and its driver (Debian: chromium chromium-driver)",
    ),
]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"):
        options.add_argument(argument)
    # It shall talk to this machine alone.
    for feature in ("quic", "background-networking", "component-update", "sync"):
        options.add_argument(f"--disable-{feature}")
    options.add_argument("--no-first-run")
    options.add_argument("--no-proxy-server")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    browser = Chrome(options=options, service=ChromeService(CHROMEDRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium):
    yield chromium
    first, *others = chromium.window_handles
    for window in others:
        chromium.switch_to.window(window)
        chromium.close()
    chromium.switch_to.window(first)


def see(browser, locator):
    """Wait until something is there to be clicked."""
    return WebDriverWait(browser, PATIENCE).until(expected.element_to_be_clickable(locator))


def take_picture(browser, name):
    folder = os.environ.get("PICTORY_SCREENSHOTS")
    if folder:
        time.sleep(3)
        browser.save_screenshot(str(Path(folder) / name))


def test_a_click_on_the_task_plays_the_video(airflow, generated, browser):
    browser.get(f"{airflow.url}/dags/{EXAMPLE}/runs/{generated.run_id}/tasks/wait/details")
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
        4, abs=0.5
    )


def test_another_button_opens_pictory(airflow, generated, browser):
    browser.get(f"{airflow.url}/dags/{EXAMPLE}/runs/{generated.run_id}/tasks/generate/details")
    button = see(browser, (By.LINK_TEXT, "Pictory dashboard"))

    assert button.get_attribute("href").startswith("https://app.pictory.ai")


def test_the_graph_shows_the_three_tasks(airflow, generated, browser):
    browser.get(f"{airflow.url}/dags/{EXAMPLE}/runs/{generated.run_id}")
    see(browser, (By.CSS_SELECTOR, "button[aria-label^='Show Graph']")).click()
    for task_id in ("generate", "wait", "save"):
        see(browser, (By.XPATH, f"//*[contains(@class, 'react-flow__node')]//*[text()='{task_id}']"))
    take_picture(browser, "graph.png")


def add_connection(airflow, browser, connection_id, **fields):
    """Make a connection as a person does."""
    browser.get(f"{airflow.url}/connections")
    see(browser, (By.XPATH, "//button[contains(., 'Add Connection')]")).click()
    see(browser, (By.NAME, "connection_id")).send_keys(connection_id)
    kind = see(browser, (By.CSS_SELECTOR, "[role=dialog] input[role=combobox]"))
    kind.send_keys("Pictory")
    see(browser, (By.XPATH, "//*[@role='option' and normalize-space()='Pictory']")).click()
    for name, text in fields.items():
        see(browser, (By.NAME, name)).send_keys(text)
    with airflow.writing:
        see(browser, (By.XPATH, "//*[@role='dialog']//button[contains(., 'Save')]")).click()
        airflow.wait_for(
            "the connection to be made",
            lambda: airflow.query(f"SELECT 1 FROM connection WHERE conn_id = '{connection_id}'"),
            bool,
            PATIENCE,
        )


def click_test(airflow, browser, connection_id):
    """Click the button in a connection's row, and give what the browser says."""
    # Without what it says about the connection that was made, which may cover the button.
    browser.get(f"{airflow.url}/connections")
    row = f"//tr[contains(., '{connection_id}')]"
    see(browser, (By.XPATH, f"{row}//button[contains(@aria-label, 'Test')]")).click()
    toasts = (By.XPATH, "//*[@data-scope='toast' and @data-part='root']")
    return WebDriverWait(browser, PATIENCE, ignored_exceptions=[StaleElementReferenceException]).until(
        lambda it: next((t for t in (e.text for e in it.find_elements(*toasts)) if _is_whole(t)), None)
    )


def _is_whole(toast):
    """Tell whether the outcome of a test has come with its words, which appear after the title."""
    return "Test Connection" in toast and len(toast.strip().splitlines()) > 1


@pytest.mark.parametrize(
    ("connection_id", "key", "outcome", "words"),
    [
        ("with_its_key", API_KEY, "Test Connection Successful", "Pictory accepts the key"),
        (
            "with_no_key_of_pictory",
            "no_key_of_pictory",
            "Test Connection Failed",
            "the API key is wrong or was revoked",
        ),
    ],
    ids=["its key", "no key of Pictory"],
)
def test_a_click_tests_a_connection_that_has_a_port(
    airflow, stage, browser, connection_id, key, outcome, words
):
    host = stage.account("pictory_browser").url
    add_connection(airflow, browser, connection_id, host=host, password=key, port="443")

    with airflow.writing:
        said = click_test(airflow, browser, connection_id)
    assert outcome in said
    assert words in said
