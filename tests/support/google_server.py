"""
A Google Cloud Storage on this machine, which keeps to the rule that its libraries break.

"The size of each chunk but the last must be a multiple of 256 KB." (source: Google's "Perform resumable
uploads"; what is said there of status codes and of Range counts here, too)
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

UNIT = 256 * 1024


class GoogleServer:
    """A context that serves buckets of any name without checking who asks."""

    def __init__(self):
        # By bucket and key: content and media type.
        self.objects = {}
        self.uploads = {}
        # What was sent in parts, as Content-Range had it.
        self.ranges = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": self}))
        self._server.daemon_threads = True
        # A client that hangs up is none of a test's business.
        self._server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: GoogleServer

    def log_message(self, *_):
        pass

    def _response(self, status, document=None, headers=None, body=None):
        body = json.dumps(document or {}).encode() if body is None else body
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        found = re.fullmatch(r"(/download)?/storage/v1/b/([^/]+)/o(?:/([^/]+))?", path)
        if found and found[3]:
            name = found[2], unquote(found[3])
            if name not in self.store.objects:
                return self._response(404, {"error": {"code": 404, "message": "No such object"}})
            content, _ = self.store.objects[name]
            if not found[1] and query.get("alt") != ["media"]:
                return self._response(200, self._describe(*name))
            start, end = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups()
            return self._response(206, body=content[int(start) : int(end) + 1])
        if found:
            prefix = query.get("prefix", [""])[0]
            items = [
                self._describe(*name)
                for name in self.store.objects
                if name[0] == found[2] and name[1].startswith(prefix)
            ]
            return self._response(200, {"items": items})
        return self._response(404)

    def _describe(self, bucket, key):
        content, kind = self.store.objects[bucket, key]
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": key,
            "size": str(len(content)),
            "contentType": kind,
            "generation": "1",
        }

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path.startswith("/upload/storage/v1/b/") and query["uploadType"] == ["resumable"]:
            # gcsfs has the name in the body, and twice encoded in the address.
            upload = str(len(self.store.uploads))
            bucket, kind = path.split("/")[5], self.headers["X-Upload-Content-Type"]
            self.store.uploads[upload] = [bucket, json.loads(body)["name"], kind, b""]
            return self._response(200, headers={"Location": f"{self.store.url}/resumable?upload_id={upload}"})
        if path == "/resumable":
            return self._take(query["upload_id"][0], body)
        return self._response(400, {"error": {"code": 400, "message": f"What is {self.path}?"}})

    do_PUT = do_POST  # noqa: N815

    def do_DELETE(self):
        self.store.uploads.pop(parse_qs(urlsplit(self.path).query)["upload_id"][0])
        return self._response(204, body=b"")

    def _take(self, upload, body):
        bucket, key, kind, before = self.store.uploads[upload]
        said = self.headers["Content-Range"]
        self.store.ranges.append(said)
        start, end, total = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", said).groups()
        if start is not None and (int(start) != len(before) or int(end) - int(start) + 1 != len(body)):
            return self._response(400, {"error": {"code": 400, "message": "Invalid range"}})
        if total == "*" and len(body) % UNIT:
            return self._response(
                400,
                {"error": {"code": 400, "message": f"Invalid request: {len(body)} is no multiple of {UNIT}"}},
            )
        content = before + body
        if total == "*":
            self.store.uploads[upload][3] = content
            return self._response(308, body=b"", headers={"Range": f"bytes=0-{len(content) - 1}"})
        if int(total) != len(content):
            return self._response(400, {"error": {"code": 400, "message": "Invalid size"}})
        del self.store.uploads[upload]
        self.store.objects[bucket, key] = content, kind
        return self._response(200, self._describe(bucket, key))
