"""The object store: bytes by key, in a folder or in S3."""

from tidemill.platform.blobs.engines import open_blobs
from tidemill.platform.blobs.port import BlobInfo, BlobMissing, Blobs

__all__ = ["BlobInfo", "BlobMissing", "Blobs", "open_blobs"]
