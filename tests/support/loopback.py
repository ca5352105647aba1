"""A server on this machine that responds as a test tells it, also in ways no HTTP library would."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field

LONGEST_WAIT = 10.0


@dataclass
class Request:
    """What reached the server."""

    method: str
    target: str
    headers: dict[str, list[str]]
    body: bytes = b""
    header_names: list[str] = field(default_factory=list)

    def header(self, name):
        """The one value of a header, or ``None``."""
        values = self.headers.get(name, [])
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None

    @property
    def document(self):
        return json.loads(self.body)


class Loopback:
    """
    Accept connections until the context ends; each request gets the next response, the last for ever.

    :param responses: functions that take the connection and the request and tell whether the connection stays
        open.
    :param refuse_tunnel: what a client that asks for a tunnel is responded where it gets none.
    :param tls: what to encrypt each connection with.
    :param tunnel_tls: what to encrypt with once a client has asked for a tunnel, to be proxy and target in
        one; without it, nobody gets a tunnel.
    :param patience: seconds that a client may be silent for before the connection is closed.
    :param in_tls_handshake: what to do in the middle of each handshake; then the connection is closed.
    """

    def __init__(
        self,
        *responses,
        tls=None,
        tunnel_tls=None,
        in_tls_handshake=None,
        refuse_tunnel=None,
        patience=LONGEST_WAIT,
    ):
        self.responses = list(responses)
        self.requests = []
        self.connections = 0
        self.ended = threading.Event()
        self._tls = tls
        self._tunnel_tls = tunnel_tls
        self._refuse_tunnel = refuse_tunnel or raw(
            b"HTTP/1.1 403 No tunnels here\r\nContent-Length: 0\r\n\r\n"
        )
        self._in_tls_handshake = in_tls_handshake
        self._patience = patience
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls or in_tls_handshake else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait_for_a_request(self):
        """Wait for what was sent to be noted here, when the client doesn't wait for a response."""
        end = time.monotonic() + LONGEST_WAIT
        while not self.requests and time.monotonic() < end:
            time.sleep(0.001)

    @property
    def request(self):
        """The only request there was."""
        (request,) = self.requests
        return request

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(self._patience)
        self._open.add(connection)
        with contextlib.suppress(OSError), contextlib.ExitStack() as closing:
            closing.enter_context(connection)
            if self._in_tls_handshake:
                connection.recv(10)
                self._in_tls_handshake()
                return
            if self._tls:
                connection = closing.enter_context(self._tls.wrap_socket(connection, server_side=True))
            stays = True
            while stays:
                reader = connection.makefile("rb")
                request = self._read_head(reader)
                if request is None:
                    return
                self.requests.append(request)
                if request.method == "CONNECT" and self._tunnel_tls is None:
                    self._refuse_tunnel(self, connection, request)
                    return
                if request.method == "CONNECT":
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    connection = closing.enter_context(
                        self._tunnel_tls.wrap_socket(connection, server_side=True)
                    )
                    continue
                response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
                if not getattr(response, "ignores_body", False):
                    request.body = reader.read(int(request.header("content-length") or 0))
                stays = response(self, connection, request)

    @staticmethod
    def _read_head(reader):
        first = reader.readline().decode("latin-1").split()
        if len(first) != 3:
            return None
        request = Request(first[0], first[1], {})
        while line := reader.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            request.header_names.append(name)
            request.headers.setdefault(name.lower(), []).append(value.strip())
        return request


def response(document=b"", status=200, **headers):
    """Respond as HTTP wants it, with a document in JSON or with bytes as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    def send(_server, connection, _request):
        connection.sendall(head(status, {"Content-Length": len(body), **headers}) + body)
        return True

    return send


def head(status, headers):
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def raw(data):
    """Send some bytes and hang up."""

    def send(_server, connection, _request):
        connection.sendall(data)
        return False

    return send


def cut_short(document, status=200):
    """Promise more than what comes, and hang up."""
    body = json.dumps(document).encode()
    return raw(head(status, {"Content-Length": len(body) + 100}) + body)


def hang_up(_server, _connection, _request):
    """Hang up without a word, after the whole request was read."""
    return False


def hang_up_before_the_body(_server, _connection, _request):
    """Hang up once the head was read."""
    return False


hang_up_before_the_body.ignores_body = True


def keep_silent(server, _connection, _request):
    """Never respond."""
    server.ended.wait(LONGEST_WAIT)
    return False


def stop_talking(server, connection, _request):
    """Begin a response and never end it."""
    connection.sendall(head(200, {"Content-Length": 100}) + b'{"job')
    server.ended.wait(LONGEST_WAIT)
    return False


def echo(status, document=None):
    """Respond with everything that was sent, the key included, wherever servers put such things."""

    def send(server, connection, request):
        key = request.header("authorization")
        said = document(key) if document else {"code": key, "message": f"the key {key} is odd", "data": key}
        target = f"/login?page={'x' * 50}&key={key}"
        return response(said, status, Location=target)(server, connection, request)

    return send


def after(doing, then):
    """Do something when the request is there, and respond then."""

    def send(server, connection, request):
        doing()
        return then(server, connection, request)

    return send
