"""Nothing that a proxy, a server or an HTTP client says gives away a secret, in whichever form it says it."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import quote

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowException
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_pictory.api import Response, VideoRequest
from airflow_provider_pictory.client import calls
from airflow_provider_pictory.client.settings import ConnectionSettings
from airflow_provider_pictory.exceptions import PictoryAPIError, PictoryConfigurationError, PictoryError
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.triggers.pictory import VideoJobTrigger
from tests.support.clients import IN_PROGRESS, JOB_ID, KEY, submit
from tests.support.loopback import echo, head, raw, response

PASSWORD = "Sturgeon/Gr4nite"
USER = "harbourmaster"
NOWHERE = "https://pictory.invalid"


def chain_of(error):
    """Return all that a log, a tracker of errors or a user is shown of an error."""
    texts = []
    while error is not None:
        texts.append(f"{error} {error!r} {vars(error)!r}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " ".join(texts)


def assert_nothing_of(secret, text):
    """Look for a secret's parts, also as escapes and base64 write them."""
    for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")):
        for at in range(len(form) - 7):
            assert form[at : at + 8].lower() not in text.lower(), text


# Proxies


def refusing(status, *, echoes):
    """Refuse a tunnel, perhaps with all that was sent in the reason, the headers and the body."""

    def send(_server, connection, request):
        sent = request.header("proxy-authorization") if echoes else "no"
        body = f"Refused: {sent}".encode()
        connection.sendall(
            f"HTTP/1.1 {status} Refused {sent}\r\nX-Sent: {sent}\r\n".encode()
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return False

    return send


@pytest.fixture(params=["connection", "HTTPS_PROXY", "all_proxy"])
def behind_proxy(request, serve, connect, monkeypatch):
    """Set a connection that leads nowhere but through a proxy with a user and a password."""

    def set_up(user_info, refuse_tunnel):
        proxy = serve(refuse_tunnel=refuse_tunnel)
        url = proxy.url.replace("://", f"://{user_info}@")
        if request.param == "connection":
            connect(NOWHERE, extra={"proxies": url, "timeout": 5})
        else:
            connect(NOWHERE, extra={"timeout": 5})
            monkeypatch.setenv(request.param, url)
        return proxy

    return set_up


@pytest.mark.parametrize(
    ("user_info", "status", "echoes"),
    [
        (f"{USER}:{quote(PASSWORD, safe='')}", 407, True),
        (f"{USER}:{quote(PASSWORD, safe='')}", 403, False),
        (f"dom\\{USER}:{quote(PASSWORD, safe='')}", 403, True),
        (f"dom%5C{USER}:{quote(PASSWORD, safe='')}", 503, True),
        (f"dom%5C{USER}:{quote(PASSWORD, safe='')}", 407, False),
    ],
    ids=["user", "user, silent", "domain", "quoted domain", "quoted domain, silent"],
)
def test_a_proxy_that_gives_no_tunnel_is_named_without_its_password(
    client, behind_proxy, caplog, capfd, user_info, status, echoes
):
    behind_proxy(user_info, refusing(status, echoes=echoes))

    error = client.error(PictoryAPIError)

    shown = chain_of(error) + caplog.text + "".join(capfd.readouterr())
    assert "No response from Pictory" in str(error)
    for secret in (PASSWORD, USER):
        assert_nothing_of(secret, shown)


def test_nor_do_other_calls_nor_a_trigger_name_it(behind_proxy, caplog, capfd):
    behind_proxy(f"{USER}:{quote(PASSWORD, safe='')}", refusing(407, echoes=True))
    hook = PictoryHook()
    shown = [hook.test_connection()[1]]
    for call in (hook.list_jobs, hook.list_videos, hook.get_quota):
        with pytest.raises(PictoryError) as caught:
            call()
        shown.append(chain_of(caught.value))
    shown.append(repr(hook.get_baseline()))
    with pytest.raises(PictoryError) as caught:
        submit(VideoRequest(prompt="A paper boat"))
    shown.append(chain_of(caught.value))
    with pytest.raises(requests.RequestException) as caught:
        hook.open_file("https://files.invalid/film.mp4", {})
    shown.append(chain_of(caught.value))
    hook.close()

    async def first_event():
        deadline = datetime.now(UTC) + timedelta(seconds=0.2)
        async for event in VideoJobTrigger(JOB_ID, "pictory_default", deadline.isoformat()).run():
            return event

    event = asyncio.run(first_event())
    assert event.payload["outcome"] == "inconclusive"
    shown.append(json.dumps(event.payload))

    text = "\n".join(shown) + caplog.text + "".join(capfd.readouterr())
    for secret in (PASSWORD, USER):
        assert_nothing_of(secret, text)


# A key that comes back in another form

FORMS = {
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64url": lambda key: base64.urlsafe_b64encode(f"key={key};".encode()).decode(),
    "base64 over lines": lambda key: base64.encodebytes(f"{key} {key} {key}".encode()).decode(),
    "hex": lambda key: key.encode().hex(),
    "HEX with spaces": lambda key: key.encode().hex(" ").upper(),
    "HTML": lambda key: "".join(f"&#{ord(mark)};" for mark in key),
    "HTML in hex": lambda key: "".join(f"&#x{ord(mark):X};" for mark in key),
    "HTML escaped": lambda key: html.escape("".join(f"&#{ord(mark)};" for mark in key)),
    "over lines": lambda key: f"{key[:9]}\r\n  {key[9:20]}\n{key[20:]}",
    "JSON in JSON": lambda key: json.dumps(json.dumps("".join(f"\\u{ord(mark):04x}" for mark in key))),
    "escaped slashes": lambda key: json.dumps(json.dumps(key).replace("/", "\\/")),
    "twice in a URL": lambda key: quote(quote(key, safe=""), safe=""),
    "all of it in a URL": lambda key: "".join(f"%25{ord(mark):02x}" for mark in key),
    "the beginning": lambda key: key[:15],
    "UTF-16": lambda key: key.encode("utf-16"),
    "UTF-16 BE": lambda key: key.encode("utf-16-be"),
}


def without_marks(text):
    return "".join(mark for mark in text.lower() if mark.isalnum())


def assert_no_form_of_the_key(write, text):
    """Look for what letters and digits the form has, whatever stands between them."""
    form = write(KEY)
    for wanted in (form.decode("latin-1") if isinstance(form, bytes) else form, KEY):
        wanted = without_marks(wanted)
        for at in range(len(wanted) - 9):
            assert wanted[at : at + 10] not in without_marks(text), text


def texts_with(form):
    """Say something in each of the places where a response says anything."""
    text = form.decode("latin-1") if isinstance(form, bytes) else form
    body = b"Refused: " + (form if isinstance(form, bytes) else form.encode())
    message = json.dumps({"code": "E1", "message": f"{'x' * 270} {text} is odd"}).encode()
    return {
        "body": (body, {}),
        "message": (message, {}),
        "location": (b"{}", {"location": f"/login/{quote(text)}"}),
    }


@pytest.mark.parametrize("place", ["body", "message", "location"])
@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_a_key_that_comes_back_in_another_form_is_not_shown(write, place):
    body, headers = texts_with(write(KEY))[place]
    settings = ConnectionSettings(KEY)

    for status in (200, 302, 400, 403, 503):
        with pytest.raises(PictoryError) as caught:
            calls.job(JOB_ID).finish(settings, Response(status, body, headers))
        assert type(caught.value) is type_of(status)
        assert_no_form_of_the_key(write, chain_of(caught.value))


@pytest.mark.parametrize("status", [200, 302, 400, 403, 503])
def test_nor_is_it_when_it_comes_from_a_server(client, serve, connect, status):
    write = FORMS["JSON in JSON"]
    body, _ = texts_with(write(KEY))["message"]
    connect(serve(response(body, status, Location=f"/login/{quote(write(KEY))}")).url)

    assert_no_form_of_the_key(write, str(client.error(type_of(status))))


def type_of(status):
    from airflow_provider_pictory import exceptions

    names = {302: "Redirected", 400: "InvalidRequest", 401: "Authentication"}
    return getattr(exceptions, f"Pictory{names.get(status, 'API')}Error")


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_nor_is_it_in_the_words_of_a_failed_job(write):
    form = write(KEY)
    text = form.decode("latin-1") if isinstance(form, bytes) else form
    data = {"status": "failed", "error_code": text, "error_message": f"the key {text} is odd"}
    body = json.dumps({"job_id": JOB_ID, "data": data}).encode()

    job = calls.job(JOB_ID).finish(ConnectionSettings(KEY), Response(200, body))

    assert_no_form_of_the_key(write, f"{job.error_code} {job.error_message}")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body", [b"secret word", b'{"detail": "secret word"}', b'["secret word"]', b'"secret word"']
)
def test_who_refuses_the_key_is_quoted_only_in_pictorys_own_form(client, serve, connect, status, body):
    connect(serve(response(body, status)).url)
    error = client.error(type_of(status))
    assert "secret word" not in str(error)
    assert f"HTTP {status}" in str(error)

    connect(serve(response({"message": "Unauthorized"}, status)).url)
    assert "(Unauthorized)" in str(client.error(type_of(status)))


def test_a_call_of_ones_own_shows_no_key_either(serve, connect, capfd, caplog):
    connect(serve(echo(500)).url)

    with pytest.raises(AirflowException, match=r"^500:Whatever") as caught:
        PictoryHook().run("pictoryapis/v1/quota")

    assert_nothing_of(KEY, chain_of(caught.value) + caplog.text + "".join(capfd.readouterr()))


# Certificates


def a_key(password=None):
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how
    )


@pytest.mark.parametrize("extra", ["cert", "verify"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda pem: pem,
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", " "),
        lambda pem: "\n".join(pem.split("\n")[1:-2]),
        lambda pem: "".join(pem.split("\n")[1:-2]),
        lambda pem: base64.b64encode(pem.encode()).decode(),
        lambda pem: ["/certificate.pem", pem],
        lambda pem: json.dumps(["/certificate.pem", "".join(pem.split("\n")[1:-2])]),
        lambda pem: [[pem]],
        lambda pem: {"key": pem},
    ],
    ids=["PEM", "escaped", "one line", "no frame", "DER", "base64", "list", "text", "nested", "dict"],
)
def test_a_certificate_in_the_place_of_its_path_is_refused_without_a_word_of_it(extra, wrap):
    pem = a_key().decode()
    connection = {"conn_id": "pictory_default", "password": KEY, "host": None, "schema": None, "port": None}

    with pytest.raises(PictoryConfigurationError) as caught:
        ConnectionSettings.from_connection(
            SimpleNamespace(**connection, extra=json.dumps({extra: wrap(pem)}))
        )
    error = caught.value

    assert f"extra '{extra}'" in str(error)
    assert "path" in str(error)
    assert_nothing_of("".join(pem.split("\n")[1:-2]), chain_of(error))
    assert "BEGIN" not in chain_of(error)


def test_an_encrypted_key_asks_nobody(connect, certificates, tmp_path):
    apart, together = tmp_path / "client.key", tmp_path / "both.pem"
    apart.write_bytes(a_key(b"passphrase"))
    together.write_bytes(certificates.client[0].read_bytes() + a_key(b"passphrase"))
    # Without a terminal of its own nothing could be asked in any case.
    a_terminal = [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"]
    program = (
        "import asyncio, json, os, sys\n"
        "from airflow_provider_pictory.hooks.pictory import PictoryHook\n"
        "async def poll():\n"
        "    async with PictoryHook() as hook:\n"
        f"        await hook.aget_job('{JOB_ID}')\n"
        "for connection in sys.argv[1:]:\n"
        "    os.environ['AIRFLOW_CONN_PICTORY_DEFAULT'] = connection\n"
        "    print(PictoryHook().test_connection())\n"
        "    try:\n        asyncio.run(poll())\n    except Exception as error:\n        print(error)\n"
    )
    connections = []
    for cert in (str(together), [str(certificates.client[0]), str(apart)]):
        connect(NOWHERE, extra={"cert": cert})
        connections.append(os.environ["AIRFLOW_CONN_PICTORY_DEFAULT"])

    began = time.monotonic()
    run = subprocess.run(
        [*a_terminal, sys.executable, "-c", program, *connections],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )

    assert run.stdout.count("is encrypted, and nobody is there to be asked") == 4, run.stdout
    assert str(apart) in run.stdout
    assert str(together) in run.stdout
    assert "openssl pkey" in run.stdout
    assert "pass phrase" not in run.stdout
    assert time.monotonic() - began < 100


# Signed URLs


@pytest.mark.parametrize(
    "mark", ["'", ")", '"', "(", ">", "<", "]", "}", "\\", "|", "^", "`", ";", ",", " ", "?", "#", "ä"]
)
def test_nothing_of_a_signed_url_is_shown_when_it_can_not_be_opened(connect, mark):
    connect(NOWHERE, extra={"allow_private_hosts": True})
    hook = PictoryHook()
    signature = f"5q3z{mark}77w1Signature{mark}d0z9{mark}qxyz1234"

    with pytest.raises(requests.RequestException) as caught:
        hook.open_file(f"http://127.0.0.1:9/film.mp4?X-Amz-Signature={signature}&X-Amz-Expires=60", {})

    assert "/film.mp4" in str(caught.value)
    for part in ("5q3z", "77w1", "d0z9", "qxyz1234"):
        assert part not in chain_of(caught.value)


@pytest.mark.parametrize("mark", ["'", ")", '"', ">"])
def test_a_signed_url_in_a_jobs_words_loses_its_query(client, serve, connect, mark):
    url = f"https://user:pass-word@bucket.example/a.png?X-Amz-Signature=5q3z{mark}77w1"
    data = {"status": "failed", "error_code": "5001", "error_message": f"can't fetch {url} today"}
    connect(serve(response({"job_id": JOB_ID, "data": data})).url)

    assert client.poll().error_message == "can't fetch https://bucket.example/a.png today"


# Printable and bounded


@pytest.mark.parametrize("status", ["failed", "sto\x1b[31mlen" + "x" * 900_000])
def test_the_words_of_a_job_are_printable_and_bounded(client, serve, connect, status):
    nasty = "\x1b[31mred\x1b[0m \u202e\0\r\n" + "y" * 900_000
    data = {"status": status, "error_code": nasty, "error_message": nasty}
    connect(serve(response({"job_id": JOB_ID, "data": data}, 200, Date="x")).url)

    # More than a megabyte is refused as a whole.
    try:
        words = client.poll()
    except PictoryError as error:
        texts = [str(error)]
    else:
        texts = [words.status, words.error_code, words.error_message]
    for text in texts:
        assert text.isprintable()
        assert len(text) <= 1200


def test_the_reason_of_an_odd_response_is_printable_and_bounded(client, serve, connect):
    connect(serve(raw(b"HTTP/1.1 nonsense \x1b[31m" + b"z" * 60_000 + b"\r\n\r\n")).url)

    error = client.error(PictoryAPIError)

    assert str(error).isprintable()
    assert len(str(error)) < 1500


def test_a_job_that_ends_is_not_changed_by_all_this(client, serve, connect):
    connect(serve(response(IN_PROGRESS)).url)

    assert client.poll().status == "in-progress"


def test_the_key_is_searched_for_in_time(client, serve, connect):
    body = (KEY[:-1] + "\\u0025") * 30_000
    connect(serve(raw(head(500, {"Content-Length": len(body)}) + body.encode())).url)

    began = time.monotonic()
    client.error(PictoryAPIError)

    assert time.monotonic() - began < 5
