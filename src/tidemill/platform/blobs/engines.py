"""Which engine an object-store URL asks for."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tidemill.kernel.errors import BadInput
from tidemill.platform.blobs.folder import FolderBlobs
from tidemill.platform.blobs.memory import MemoryBlobs
from tidemill.platform.blobs.port import Blobs
from tidemill.platform.settings.groups.storage import ObjectSettings

if TYPE_CHECKING:
    from obstore.store import S3Config


def open_blobs(url: str, settings: ObjectSettings | None = None) -> Blobs:
    """Open the object store that ``url`` names: file:///folder, s3://bucket/prefix or memory://."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderBlobs(Path(unquote(parts.netloc + parts.path)))
    if parts.scheme == "memory":
        return MemoryBlobs()
    if parts.scheme == "s3":
        return _open_s3(parts.netloc, parts.path.strip("/"), settings or ObjectSettings())
    raise BadInput.of("objects.url", "must begin with file:// or s3://")


def _open_s3(bucket: str, prefix: str, settings: ObjectSettings) -> Blobs:
    from obstore.store import S3Store  # noqa: PLC0415 - loaded only when asked for

    from tidemill.platform.blobs.s3 import S3Blobs  # noqa: PLC0415 - as above

    config: S3Config = {"region": settings.s3_region, "virtual_hosted_style_request": settings.s3_endpoint is None}
    if settings.s3_endpoint:
        config["endpoint"] = settings.s3_endpoint
    if settings.s3_access_key and settings.s3_secret_key:
        config["access_key_id"] = settings.s3_access_key
        config["secret_access_key"] = settings.s3_secret_key
    insecure = (settings.s3_endpoint or "").startswith("http://")
    store = S3Store(bucket, prefix=prefix or None, config=config, client_options={"allow_http": insecure})
    return S3Blobs(store)
