"""A connection is read into settings as a whole, or refused in a sentence that names what is wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.client.settings import DEFAULT_BASE_URL, KNOWN_EXTRAS, ConnectionSettings
from airflow_provider_pictory.exceptions import PictoryConfigurationError
from airflow_provider_pictory.hooks.pictory import PictoryHook
from tests.support.clients import KEY, assert_keeps_the_key, assert_no_key


def settings(**fields):
    extra = fields.pop("extra", None)
    connection = {
        "conn_id": "my_pictory",
        "password": KEY,
        "host": None,
        "schema": None,
        "port": None,
        **fields,
    }
    text = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
    return ConnectionSettings.from_connection(SimpleNamespace(**connection, extra=text))


def refusal(**fields):
    with pytest.raises(PictoryConfigurationError) as caught:
        settings(**fields)
    message = str(caught.value)
    assert "'my_pictory'" in message
    assert_keeps_the_key(caught.value)
    return message


def test_a_password_is_all_it_takes():
    assert settings() == ConnectionSettings(
        api_key=KEY, base_url="https://api.pictory.ai", timeout=30, verify=True, proxies={}, cert=None
    )


@pytest.mark.parametrize("schema", [None, "", "https", "http"])
@pytest.mark.parametrize("host", [None, "", "  "])
def test_without_a_host_it_is_pictorys(host, schema):
    assert settings(host=host, schema=schema).base_url == DEFAULT_BASE_URL


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "api.pictory.ai"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai/"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai///"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai/pictoryapis"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai/pictoryapis/"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai//pictoryapis"}, "https://api.pictory.ai"),
        ({"host": "api.pictory.ai/pictoryapis"}, "https://api.pictory.ai"),
        ({"host": "  https://api.pictory.ai\n"}, "https://api.pictory.ai"),
        ({"host": "HTTPS://API.pictory.ai"}, "https://API.pictory.ai"),
        ({"host": "localhost:8765"}, "https://localhost:8765"),
        ({"host": "localhost", "port": 8765}, "https://localhost:8765"),
        ({"host": "localhost", "port": 8765, "schema": "http"}, "http://localhost:8765"),
        ({"host": "http://localhost", "port": 8765}, "http://localhost:8765"),
        ({"host": "http://localhost:8765", "port": 9}, "http://localhost:8765"),
        ({"host": "http://localhost:8765", "schema": "https"}, "http://localhost:8765"),
        ({"host": "http://localhost/", "port": 0}, "http://localhost"),
        # A port that the scheme has anyway makes no other host of it.
        ({"host": "http://http", "port": 80}, "http://http"),
        ({"host": "http://t", "port": 80}, "http://t"),
        ({"host": "http://t:80"}, "http://t"),
        ({"port": 443}, "https://api.pictory.ai"),
        ({"host": "api.pictory.ai", "port": 443}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai:443/pictoryapis/v1"}, "https://api.pictory.ai"),
        ({"host": "http://127.0.0.1:8765", "port": 443}, "http://127.0.0.1:8765"),
        ({"host": "http://127.0.0.1", "port": 443}, "http://127.0.0.1:443"),
        ({"host": "http://localhost:", "port": 8765}, "http://localhost:8765"),
        ({"host": "http://[::1]:80"}, "http://[::1]"),
        ({"host": "http://127.0.0.1", "port": 8765}, "http://127.0.0.1:8765"),
        ({"host": "http://[::1]", "port": 8765}, "http://[::1]:8765"),
        ({"host": "http://[::1]:8765"}, "http://[::1]:8765"),
        ({"host": "https://gateway.example/team/pictory"}, "https://gateway.example/team/pictory"),
        ({"host": "https://gateway.example/team/pictoryapis"}, "https://gateway.example/team"),
        ({"host": "https://gateway.example/team/pictoryapis/v1"}, "https://gateway.example/team"),
        ({"host": "https://api.pictory.ai/pictoryapis/v1"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai/pictoryapis/v1/"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai/pictoryapis//v2//"}, "https://api.pictory.ai"),
        ({"host": "https://api.pictory.ai/PictoryAPIs/V1"}, "https://api.pictory.ai"),
        ({"host": "api.pictory.ai/pictoryapis/v1"}, "https://api.pictory.ai"),
    ],
)
def test_a_base_url_may_be_written_in_every_usual_way(fields, base_url):
    read = settings(**fields)

    assert read.base_url == base_url
    assert read.url("/v1/quota") == f"{base_url}/pictoryapis/v1/quota"


@pytest.mark.parametrize(
    "host",
    [
        "ftp://api.pictory.ai",
        "file:///etc/passwd",
        "https://",
        "https:///pictoryapis",
        "http://:8765",
        "https://api.pictory.ai?x=1",
        "https://api.pictory.ai#x",
        "https://user:word@api.pictory.ai",
        "https://api.pictory.ai\\x",
        "https://api pictory.ai",
        "https://api.pictory.ai\r\nX: y",
        "https://api.pictory.ai:port",
        "https://api.pictory.ai:99999",
        "https://[::1",
        "https://\ud800",
        "https://bücher.example",
        "{{ var.value.host }}",
        "http:/127.0.0.1:8765",
        "http//127.0.0.1:8765",
        "http:127.0.0.1:8765",
        "https://https://api.pictory.ai",
    ],
)
def test_what_is_no_base_url_is_refused(host):
    message = refusal(host=host)

    assert "the host must be a base URL such as https://api.pictory.ai" in message


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("https://api.pictory.ai/pictoryapis/v1/aistudio/videos", "https://api.pictory.ai"),
        ("https://api.pictory.ai/pictoryapis/v1/jobs/", "https://api.pictory.ai"),
        ("api.pictory.ai/pictoryapis/v1/quota", "https://api.pictory.ai"),
        ("https://api.pictory.ai/v1", "https://api.pictory.ai"),
        ("https://api.pictory.ai:443/v1", "https://api.pictory.ai"),
        ("http://localhost:8765/pictoryapis/v1/quota", "http://localhost:8765"),
        ("https://gateway.example/team/pictoryapis/v1/jobs", "https://gateway.example/team"),
    ],
)
def test_the_address_of_a_call_is_refused_with_the_base_url_to_put_instead(host, wanted):
    message = refusal(host=host)

    assert f"the host must be the base URL alone, {wanted}, without the path of a call" in message
    assert repr(host) in message
    assert settings(host=wanted).base_url == wanted


@pytest.mark.parametrize("port", [-1, 65536, 4_000_000_000])
def test_a_port_that_there_can_not_be_is_refused(port):
    assert f"the port must be one from 1 to 65535, or none, got {port}" in refusal(port=port)


def test_an_unusable_schema_is_refused():
    assert "schema 'ftp'" in refusal(host="api.pictory.ai", schema="ftp")


@pytest.mark.parametrize("password", [None, "", "   ", "\n"])
def test_the_key_is_needed(password):
    assert "has no password: put the Pictory API key (pictai_...) there" in refusal(password=password)


@pytest.mark.parametrize("password", [f"Bearer {KEY}", f"bearer {KEY}", f" BEARER  {KEY}"])
def test_the_key_is_given_raw(password):
    message = refusal(password=password)

    assert "without 'Bearer'" in message
    assert_no_key(message)


@pytest.mark.parametrize("password", [f" {KEY}", f"{KEY}\n", f"\t{KEY}\r\n"])
def test_white_space_around_the_key_is_dropped(password):
    assert settings(password=password).api_key == KEY


@pytest.mark.parametrize(
    "password",
    [
        f"{KEY}\nX: y",
        f"{KEY}\r\nHost: evil.example",
        f"{KEY} {KEY}",
        f"{KEY}ü",
        f"{KEY}\0",
        f"{KEY}\ud800",
        "Bearer\t1",
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(password):
    message = refusal(password=password)

    assert "characters that no Pictory API key has" in message


@pytest.mark.parametrize(
    "extra",
    [
        None,
        "",
        "  ",
        "{}",
        '{"timeout": null, "verify": "", "cert": null, "proxies": null, "submission_window": null}',
        '{"timeout": " ", "verify": "null", "cert": "None", "proxies": "", "submission_window": ""}',
        '{"proxies": {}}',
        '{"proxies": "{}"}',
    ],
)
def test_an_empty_extra_means_the_defaults(extra):
    assert settings(extra=extra) == settings()


@pytest.mark.parametrize(
    "extra", ["{", "timeout=5", "[]", "5", "null", '"text"', "[" * 100_000, "\0"], ids=range(8)
)
def test_an_extra_that_is_no_json_object_is_refused_without_being_shown(extra):
    assert refusal(extra=extra).endswith('the extra must be a JSON object, such as {"timeout": 30}')


@pytest.mark.parametrize(
    ("given_", "seconds"), [(5, 5), (0.5, 0.5), ("5", 5), (" 7.5 ", 7.5), (86400, 86400)]
)
def test_a_timeout_is_a_number_of_seconds(given_, seconds):
    assert settings(extra={"timeout": given_}).timeout == seconds


@pytest.mark.parametrize(
    "extra",
    [
        *({"timeout": value} for value in (0, -1, "soon", True, [], {}, [5], "5s", 86401, 1e300, 10**400)),
        '{"timeout": NaN}',
        '{"timeout": Infinity}',
        '{"timeout": "nan"}',
        '{"timeout": "inf"}',
    ],
    ids=range(15),
)
def test_a_timeout_no_client_could_keep_is_refused(extra):
    message = refusal(extra=extra)

    assert "extra 'timeout' must be a positive number of seconds, at most 86400, got" in message


@pytest.mark.parametrize(
    ("given_", "seconds"), [(None, 180), (1, 1), (600, 600), ("120", 120), (0.5 + 0.75, 1.25), (86400, 86400)]
)
def test_the_submission_window_is_a_number_of_seconds(given_, seconds):
    assert settings(extra={"submission_window": given_}).submission_window == seconds
    assert settings(extra={"submission_window": given_}).unknown_extras == ()


@pytest.mark.parametrize(
    "value", [0, 0.99, -1, 86401, "soon", "5s", True, [], {}, 10**400, "nan", "inf"], ids=range(12)
)
def test_a_submission_window_of_no_use_is_refused(value):
    message = refusal(extra={"submission_window": value})

    assert "extra 'submission_window' must be a number of seconds from 1 to 86400, got" in message


@pytest.mark.parametrize(
    ("given_", "verify"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        (" FALSE ", False),
        ("/etc/authorities.pem", "/etc/authorities.pem"),
    ],
)
def test_verify_is_a_truth_or_a_path(given_, verify):
    assert settings(extra={"verify": given_}).verify == verify


@pytest.mark.parametrize("value", [0, 1, 0.5, [], {}, ["/etc/authorities.pem"]])
def test_another_verify_is_refused_rather_than_guessed(value):
    assert "extra 'verify' must be true, false or the path" in refusal(extra={"verify": value})


@pytest.mark.parametrize(
    ("given_", "proxies"),
    [
        ("http://proxy:3128", {"http": "http://proxy:3128", "https": "http://proxy:3128"}),
        ({"https": "http://proxy:3128"}, {"https": "http://proxy:3128"}),
        ({}, {}),
        (" http://proxy:3128 ", {"http": "http://proxy:3128", "https": "http://proxy:3128"}),
        ({"https": None}, {"https": ""}),
        ({"http": "http://proxy:3128", "https": " "}, {"http": "http://proxy:3128", "https": ""}),
        ({"no_proxy": "a.example:8080,10.0.0.0/8"}, {"no_proxy": "a.example:8080,10.0.0.0/8"}),
        ({"no_proxy": None}, {}),
        ('{"https": "http://proxy:3128"}', {"https": "http://proxy:3128"}),
    ],
)
def test_proxies_are_one_url_or_one_for_each_scheme(given_, proxies):
    assert settings(extra={"proxies": given_}).proxies == proxies


@pytest.mark.parametrize(
    "value",
    [
        *(5, True, ["http://proxy"], {"https": 5}, '["http://proxy"]', "{'https': 'http://proxy'}"),
        *("http://user:SECRET@proxy:notaport", {"https": "http://user:SECRET@"}, "http://u:SECRET@[proxy"),
    ],
)
def test_other_proxies_are_refused_without_being_shown(value):
    message = refusal(extra={"proxies": value})

    assert "extra 'proxies' must be a proxy URL such as http://proxy:3128, or a dict" in message
    assert "SECRET" not in message


def test_a_host_with_a_password_is_refused_without_being_shown():
    message = refusal(host="https://user:SECRET@api.pictory.ai")

    assert "the host must be a base URL" in message
    assert "SECRET" not in message


@pytest.mark.parametrize(
    ("given_", "cert"),
    [
        ("/a.pem", "/a.pem"),
        (["/a.pem", "/a.key"], ("/a.pem", "/a.key")),
        ('["/a.pem", "/a.key"]', ("/a.pem", "/a.key")),
        (["/a.pem", None], "/a.pem"),
        ('["/a.pem", ""]', "/a.pem"),
    ],
)
def test_a_client_certificate_is_one_path_or_two(given_, cert):
    assert settings(extra={"cert": given_}).cert == cert


@pytest.mark.parametrize(
    "value", [5, True, {}, [], ["/a.pem"], ["/a", "/b", "/c"], ["/a.pem", 5], "['/a', '/b']", "[]"]
)
def test_another_client_certificate_is_refused(value):
    assert "extra 'cert' must be a path, or a list" in refusal(extra={"cert": value})


def test_extras_that_mean_nothing_are_named():
    assert settings(extra={"timeout": 5, "X-Api-Key": "x", "headers": {}}).unknown_extras == (
        "X-Api-Key",
        "headers",
    )


def test_settings_show_neither_the_key_nor_the_passwords_of_proxies():
    shown = repr(settings(extra={"proxies": "http://user:pass-word@proxy:3128"}))

    assert_no_key(shown)
    assert "pass-word" not in shown
    assert "api.pictory.ai" in shown


def test_the_key_is_blotted_out_of_any_text():
    assert settings().without_key(f"<{KEY}> {KEY}{KEY}") == "<***> ******"
    assert settings().without_key("pictai_5e is another") == "pictai_5e is another"


@pytest.mark.parametrize("key", [KEY, "pictai_" + "".join(map(chr, range(33, 127)))])
@pytest.mark.parametrize(
    "write",
    [
        json.dumps,
        quote,
        quote_plus,
        lambda key: quote(key, safe="").lower(),
        lambda key: key.replace("/", "\\/"),
        lambda key: "".join(f"\\u{ord(mark):04x}" for mark in key),
        lambda key: "".join(f"\\u{ord(mark):04X}" for mark in key),
    ],
)
def test_the_key_is_blotted_out_however_json_and_urls_write_it(key, write):
    assert settings(password=key).without_key(f"<{write(key)}>").strip('<">') == "***"


def test_settings_with_another_key_are_others():
    assert settings() == settings()
    assert settings() != settings(password="pictai_rotated")


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "password": st.text() | st.none(),
            "host": st.text()
            | st.sampled_from(["http://", "a:b", "[", "https://a/b"]).flatmap(
                lambda start: st.text().map(lambda end: start + end)
            ),
            "schema": st.text() | st.none(),
            "port": st.integers() | st.none(),
            "extra": st.text() | st.dictionaries(st.sampled_from([*KNOWN_EXTRAS, "x"]), json_like),
        },
    )
)
def test_any_connection_is_read_or_refused_in_one_kind_of_error(fields):
    try:
        read = settings(**fields)
    except PictoryConfigurationError:
        return
    assert read.base_url.startswith(("http://", "https://"))
    assert not read.base_url.endswith("/")
    assert read.base_url.isascii()
    assert read.timeout > 0


def test_airflows_own_connections_are_read(connect):
    connect("localhost", port=8765, schema="http", extra={"timeout": 5, "verify": False})

    connection = PictoryHook().get_connection("pictory_default")

    assert ConnectionSettings.from_connection(connection) == settings(
        host="http://localhost:8765", extra={"timeout": 5, "verify": False}
    )


@pytest.mark.parametrize("write", [str, quote_plus], ids=["as it is", "percent-encoded"])
def test_extras_of_a_uri_say_what_they_say_in_json(monkeypatch, write):
    extra = {
        "timeout": "5",
        "verify": "false",
        "cert": '["/a.pem","/a.key"]',
        # Airflow itself takes no second :// that isn't encoded.
        "proxies": '{"https":"proxy:3128","http":null}',
        "submission_window": "60",
    }
    query = "&".join(f"{name}={write(value)}" for name, value in extra.items())
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", f"pictory://:pictai_x@/?{query}")

    read = ConnectionSettings.from_connection(PictoryHook().get_connection("pictory_default"))

    assert (read.timeout, read.verify, read.submission_window) == (5, False, 60)
    assert read.cert == ("/a.pem", "/a.key")
    assert read.proxies == {"https": "proxy:3128", "http": ""}
    assert read.unknown_extras == ()


@pytest.mark.parametrize("empty", ["", "null", "None"])
def test_empty_extras_of_a_uri_mean_the_defaults(monkeypatch, empty):
    query = "&".join(f"{name}={empty}" for name in KNOWN_EXTRAS)
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", f"pictory://:{quote(KEY, safe='')}@/?{query}")

    connection = PictoryHook().get_connection("pictory_default")

    assert ConnectionSettings.from_connection(connection) == settings()


def test_the_hook_tells_the_submission_window(connect):
    connect("http://127.0.0.1:1")
    assert PictoryHook().get_submission_window() == 180

    connect("http://127.0.0.1:1", extra={"submission_window": 45})
    assert PictoryHook().get_submission_window() == 45


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (None, "https://api.pictory.ai"),
        ("https://api.pictory.ai/pictoryapis", "https://api.pictory.ai"),
        ("https://api.pictory.ai/pictoryapis/v1/", "https://api.pictory.ai"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
    ],
)
def test_the_docs_command_makes_a_connection_of_the_variables_of_pictorys_scripts(
    monkeypatch, base_url, expected
):
    page = Path(__file__).parents[2].joinpath("docs", "connections.md").read_text()
    (command,) = re.findall(
        r"^ *(export AIRFLOW_CONN_PICTORY_DEFAULT=.*PICTORY_API_KEY.*)$", page, re.MULTILINE
    )
    variables = {"PATH": os.defpath, "PICTORY_API_KEY": KEY}
    if base_url is not None:
        variables["PICTORY_API_BASE_URL"] = base_url
    made = subprocess.run(
        ["sh", "-c", f"{command}\nprintenv AIRFLOW_CONN_PICTORY_DEFAULT"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", made.stdout.strip())

    read = ConnectionSettings.from_connection(PictoryHook().get_connection("pictory_default"))
    assert read == settings(host=expected)


def test_airflows_connections_in_the_form_of_uris_are_read(monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_PICTORY_DEFAULT", "pictory://:pictai_x@localhost:8765/?timeout=5&verify=false"
    )

    read = ConnectionSettings.from_connection(PictoryHook().get_connection("pictory_default"))

    assert (read.api_key, read.base_url) == ("pictai_x", "https://localhost:8765")
    assert (read.timeout, read.verify) == (5, False)
