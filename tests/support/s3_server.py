"""
An S3 server on this machine, which refuses what a test wants it to refuse.

It is moto's server, which keeps to S3's protocol with its multipart uploads, and is installed like any other
package. Its requests pass through here, so that some can be refused.
"""

from __future__ import annotations

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.store_server import ServedInAThread


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


class S3Server(ServedInAThread):
    """A context."""

    def __init__(self):
        super().__init__(make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet))
        self.requests = []
        # Functions that take a request's method and target, and give a status and a code to refuse it with.
        self.faults = []
        self._application = DomainDispatcherApplication(create_backend_app)
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="somebody",
            aws_secret_access_key="some-secret-key",
        )

    def __call__(self, environment, start_response):
        method = environment["REQUEST_METHOD"]
        target = f"{environment['PATH_INFO']}?{environment['QUERY_STRING']}"
        self.requests.append(f"{method} {target}")
        for fault in self.faults:
            if refusal := fault(method, target):
                status, code = refusal
                environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
                start_response(f"{status} Refused", [("Content-Type", "application/xml")])
                body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
                return [] if method == "HEAD" else [body]
        return self._application(environment, start_response)

    def make_bucket(self, name):
        self.client.create_bucket(Bucket=name)
        return Bucket(self, name)


class Bucket:
    """One bucket, as its owner sees it."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    def names(self):
        return [
            entry["Key"] for entry in self.server.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        ]

    def uploads(self):
        """Return the keys of uploads that were begun and neither completed nor aborted."""
        uploads = self.server.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [upload["Key"] for upload in uploads]

    def read(self, key):
        return self.server.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def files(self):
        """Return content and media type of each file."""
        heads = {key: self.server.client.head_object(Bucket=self.name, Key=key) for key in self.names()}
        return {key: (self.read(key), head["ContentType"]) for key, head in heads.items()}

    def put(self, key, content):
        self.server.client.put_object(Bucket=self.name, Key=key, Body=content)

    def refuse(self, method, part_of_target, status=403, code="AccessDenied"):
        """Refuse requests of a method whose target contains something."""

        def fault(asked_method, target):
            is_here = target.startswith(f"/{self.name}")
            return (status, code) if is_here and asked_method == method and part_of_target in target else None

        self.server.faults.append(fault)
