"""
A Google Cloud Storage on this machine, which keeps to the rule that its libraries break.

"The size of each chunk but the last must be a multiple of 256 KB." (source: Google's "Perform resumable
uploads"; what is said there of status codes and of Range counts here, too)
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from tests.support.store_server import StoreHandler, StoreServer

UNIT = 256 * 1024


class GoogleServer(StoreServer):
    """A context; its uploads have a bucket, a key, a media type and what has come."""

    def __init__(self):
        super().__init__(_Handler)
        # What was sent in parts, as Content-Range had it.
        self.ranges = []

    def clear(self):
        super().clear()
        self.ranges.clear()


class _Handler(StoreHandler):
    def respond_with(self, document, status=200, **headers):
        self.respond(status, {"Content-Type": "application/json", **headers}, json.dumps(document).encode())

    def refuse(self, why, status=400):
        self.respond_with({"error": {"code": status, "message": why}}, status)

    def do_GET(self):  # noqa: N802
        path, query = self.target
        found = re.fullmatch(r"(/download)?/storage/v1/b/([^/]+)/o(?:/([^/]+))?", path)
        if not found:
            return self.refuse(f"What is {path}?", 404)
        is_download, bucket, key = found.groups()
        if not key:
            keys = [key for key in self.store.files(bucket) if key.startswith(query.get("prefix", ""))]
            return self.respond_with({"items": [self.describe(bucket, key) for key in keys]})
        name = bucket, unquote(key)
        if name not in self.store.objects:
            return self.refuse("No such object", 404)
        if not is_download and query.get("alt") != "media":
            return self.respond_with(self.describe(*name))
        start, end = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups()
        return self.respond(206, body=self.store.objects[name][0][int(start) : int(end) + 1])

    def describe(self, bucket, key):
        content, kind = self.store.objects[bucket, key]
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": key,
            "size": str(len(content)),
            "contentType": kind,
            "generation": "1",
        }

    def do_POST(self):  # noqa: N802
        body, (path, query) = self.read_body(), self.target
        if path.startswith("/upload/storage/v1/b/") and query["uploadType"] == "resumable":
            # gcsfs has the name in the body, and twice encoded in the address.
            upload = str(len(self.store.uploads))
            bucket, kind = path.split("/")[5], self.headers["X-Upload-Content-Type"]
            self.store.uploads[upload] = [bucket, json.loads(body)["name"], kind, b""]
            return self.respond_with({}, Location=f"{self.store.url}/resumable?upload_id={upload}")
        if path == "/resumable":
            return self.take(query["upload_id"], body)
        return self.refuse(f"What is {path}?")

    do_PUT = do_POST  # noqa: N815

    def do_DELETE(self):  # noqa: N802
        self.store.uploads.pop(self.target[1]["upload_id"])
        return self.respond(204)

    def take(self, upload, body):
        bucket, key, kind, before = self.store.uploads[upload]
        said = self.headers["Content-Range"]
        self.store.ranges.append(said)
        start, end, total = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", said).groups()
        if start is not None and (int(start) != len(before) or int(end) - int(start) + 1 != len(body)):
            return self.refuse("Invalid range")
        if total == "*" and len(body) % UNIT:
            return self.refuse(f"Invalid request: {len(body)} is no multiple of {UNIT}")
        content = before + body
        if total == "*":
            self.store.uploads[upload][3] = content
            return self.respond(308, {"Range": f"bytes=0-{len(content) - 1}"})
        if int(total) != len(content):
            return self.refuse("Invalid size")
        del self.store.uploads[upload]
        self.store.objects[bucket, key] = content, kind
        return self.respond_with(self.describe(bucket, key))
