"""What the examples need besides a Pictory: an S3 server of this machine."""

from tests.transfers.s3_server import bucket, s3_server  # noqa: F401  (fixtures)
