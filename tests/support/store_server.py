"""What the object stores on this machine have in common: a server in a thread, and the files in it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class ServedInAThread:
    """
    A context that serves whoever asks, without checking who that is.

    :param server: of the standard library's kind.
    """

    def __init__(self, server):
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class StoreServer(ServedInAThread):
    """
    A store with containers of any name.

    :param handler: of its requests.
    """

    def __init__(self, handler):
        # By container and name: content and media type.
        self.objects = {}
        # What has come of files that aren't complete.
        self.uploads = {}
        # The targets of all requests that may change something.
        self.writes = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"store": self}))
        server.daemon_threads = True
        # A client that hangs up is none of a test's business.
        server.handle_error = lambda *_: None
        super().__init__(server)

    def clear(self):
        self.objects.clear()
        self.uploads.clear()
        self.writes.clear()

    def files(self, container):
        """Return content and media type of each file in a container."""
        return {name: file for (where, name), file in self.objects.items() if where == container}


class StoreHandler(BaseHTTPRequestHandler):
    """Reads requests and writes responses; what they mean is the store's."""

    protocol_version = "HTTP/1.1"
    store: StoreServer

    def log_message(self, *_):
        pass

    def respond(self, status, headers=None, body=b""):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def target(self):
        """The path, as it came, and the first value of each parameter."""
        parts = urlsplit(self.path)
        return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}

    def read_body(self):
        self.store.writes.append(self.path)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))
