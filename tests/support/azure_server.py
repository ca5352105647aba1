"""As much of an Azure Blob Storage on this machine as an upload, a look and a read take."""

from __future__ import annotations

import base64
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

ACCOUNT = "devstoreaccount1"
DATES = {"Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT", "ETag": '"0x1"', "x-ms-version": "2021-12-02"}


class AzureServer:
    """A context that serves containers of any name without checking who asks."""

    def __init__(self):
        # By container and name: content and media type.
        self.blobs = {}
        self.blocks = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": self}))
        self._server.daemon_threads = True
        # A client that hangs up is none of a test's business.
        self._server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self._server.server_port}/{ACCOUNT}"
        key = base64.b64encode(b"some-secret-key").decode()
        self.connection_string = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={self.url};"
        )

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: AzureServer

    def log_message(self, *_):
        pass

    def _response(self, status, headers=None, body=b""):
        self.send_response(status)
        for name, value in {"x-ms-request-id": "1", **DATES, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str((headers or {}).get("size", len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _asked(self):
        parts = urlsplit(self.path)
        _, _, container, *name = parts.path.split("/", 3)
        return (container, unquote("".join(name))), parse_qs(parts.query)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        name, query = self._asked()
        if query.get("comp") == ["list"]:
            body = b'<?xml version="1.0"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>'
            return self._response(200, {"Content-Type": "application/xml"}, body)
        if name not in self.store.blobs:
            return self._response(404, {"x-ms-error-code": "BlobNotFound"})
        content, kind = self.store.blobs[name]
        headers = {
            "Content-Type": kind,
            "x-ms-blob-type": "BlockBlob",
            "x-ms-creation-time": DATES["Last-Modified"],
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("x-ms-range") or "")
        if self.command == "HEAD" or not asked:
            return self._response(200, headers, content)
        start, end = int(asked[1]), min(int(asked[2]), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return self._response(206, headers, content[start : end + 1])

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name, query = self._asked()
        if query.get("comp") == ["block"]:
            self.store.blocks[name, query["blockid"][0]] = body
        elif query.get("comp") == ["blocklist"]:
            ids = re.findall(r"<Latest>([^<]+)</Latest>", body.decode())
            content = b"".join(self.store.blocks.pop((name, block)) for block in ids)
            kind = self.headers.get("x-ms-blob-content-type") or "application/octet-stream"
            self.store.blobs[name] = content, kind
        else:
            return self._response(400)
        return self._response(201)
