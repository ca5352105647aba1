"""As much of an Azure Blob Storage on this machine as an upload, a look and a read take."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote

from tests.support.store_server import StoreHandler, StoreServer

ACCOUNT = "devstoreaccount1"
MOMENT = "Mon, 02 Nov 2026 10:00:00 GMT"
ALWAYS = {"x-ms-request-id": "1", "x-ms-version": "2021-12-02", "Last-Modified": MOMENT, "ETag": '"0x1"'}


class AzureServer(StoreServer):
    """A context; its uploads are blocks, by blob and by the block's id."""

    def __init__(self):
        super().__init__(_Handler)
        key = base64.b64encode(b"some-secret-key").decode()
        self.connection_string = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
            f"BlobEndpoint={self.url}/{ACCOUNT};"
        )


class _Handler(StoreHandler):
    def respond(self, status, headers=None, body=b""):
        super().respond(status, {**ALWAYS, **(headers or {})}, body)

    @property
    def blob(self):
        _, _, container, *name = self.target[0].split("/", 3)
        return container, unquote("".join(name))

    def do_GET(self):  # noqa: N802
        if self.target[1].get("comp") == "list":
            body = b'<?xml version="1.0"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>'
            return self.respond(200, {"Content-Type": "application/xml"}, body)
        if self.blob not in self.store.objects:
            return self.respond(404, {"x-ms-error-code": "BlobNotFound"})
        content, kind = self.store.objects[self.blob]
        headers = {"Content-Type": kind, "x-ms-blob-type": "BlockBlob", "x-ms-creation-time": MOMENT}
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("x-ms-range") or "")
        if self.command == "HEAD" or not asked:
            return self.respond(200, headers, content)
        start, end = int(asked[1]), min(int(asked[2]), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return self.respond(206, headers, content[start : end + 1])

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self):  # noqa: N802
        body, query = self.read_body(), self.target[1]
        if query.get("comp") == "block":
            self.store.uploads[self.blob, query["blockid"]] = body
        elif query.get("comp") == "blocklist":
            ids = re.findall(r"<Latest>([^<]+)</Latest>", body.decode())
            content = b"".join(self.store.uploads.pop((self.blob, block)) for block in ids)
            kind = self.headers.get("x-ms-blob-content-type") or "application/octet-stream"
            self.store.objects[self.blob] = content, kind
        else:
            return self.respond(400)
        return self.respond(201)
