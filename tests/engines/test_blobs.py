"""One suite for every engine of the object store."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidemill.kernel.errors import TooLarge
from tidemill.platform.blobs import BlobMissing, Blobs, open_blobs
from tidemill.platform.settings.groups.storage import ObjectSettings

MIB = 1024 * 1024


@pytest.fixture(params=["memory", "folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "memory":
        return open_blobs("memory://")
    if request.param == "folder":
        return open_blobs(f"file://{tmp_path / 'objects'}")
    settings: ObjectSettings = request.getfixturevalue("s3_settings")
    return open_blobs(settings.url or "", settings)


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def whole(blobs: Blobs, key: str, start: int = 0, length: int | None = None) -> bytes:
    return b"".join([part async for part in blobs.stream(key, start, length)])


async def test_keeps_an_object_and_gives_any_range(blobs: Blobs) -> None:
    body = bytes(range(256)) * 40
    info = await blobs.put("a/b/c.bin", parts(body[:100], body[100:]), max_bytes=MIB)
    assert (info.key, info.size, info.sha256) == ("a/b/c.bin", len(body), hashlib.sha256(body).hexdigest())
    assert await blobs.read("a/b/c.bin") == body
    assert await blobs.read("a/b/c.bin", 10, 5) == body[10:15]
    assert await blobs.read("a/b/c.bin", len(body) - 3, 100) == body[-3:]
    assert await blobs.read("a/b/c.bin", len(body)) == b""
    assert await whole(blobs, "a/b/c.bin", 1000) == body[1000:]
    assert await whole(blobs, "a/b/c.bin", 1000, 7) == body[1000:1007]


async def test_a_large_object_travels_in_parts(blobs: Blobs) -> None:
    chunk = b"0123456789abcdef" * 65536
    await blobs.put("large", parts(*[chunk] * 20), max_bytes=64 * MIB)
    sizes = [len(part) async for part in blobs.stream("large")]
    assert sum(sizes) == 20 * len(chunk)
    assert max(sizes) <= 256 * 1024
    assert await blobs.read("large", 19 * len(chunk), 16) == chunk[:16]


async def test_past_the_limit_nothing_is_left(blobs: Blobs) -> None:
    await blobs.put("kept", parts(b"before"), max_bytes=MIB)
    for key in ("kept", "new"):
        with pytest.raises(TooLarge):
            await blobs.put(key, parts(b"x" * 600, b"x" * 600), max_bytes=1000)
    assert await blobs.read("kept") == b"before"
    with pytest.raises(BlobMissing):
        await blobs.read("new")


async def test_a_source_that_fails_leaves_nothing(blobs: Blobs) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put("half", broken(), max_bytes=MIB)
    assert await blobs.list("half") == []
    with pytest.raises(BlobMissing):
        await whole(blobs, "half")


async def test_lists_a_folder_and_deletes(blobs: Blobs) -> None:
    for key in ("u/1/b", "u/1/a", "u/10/c", "v/1"):
        await blobs.put(key, parts(key.encode()), max_bytes=MIB)
    assert [info.key for info in await blobs.list("u/1")] == ["u/1/a", "u/1/b"]
    assert [info.size for info in await blobs.list("u")] == [5, 5, 6]
    await blobs.delete("u/1/a")
    await blobs.delete("u/1/a")
    assert [info.key for info in await blobs.list("u/1")] == ["u/1/b"]


async def test_an_empty_object_is_an_object(blobs: Blobs) -> None:
    await blobs.put("empty", parts(), max_bytes=10)
    assert await blobs.read("empty") == b""
    assert await whole(blobs, "empty") == b""


@pytest.mark.parametrize("key", ["", "/a", "a/", "../a", "a/../b", "a/./b", "a b", "a\x00", "é", "a//b"])
async def test_keys_cannot_leave_the_store(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        await blobs.put(key, parts(b"x"), max_bytes=10)
    with pytest.raises(ValueError, match="not an object key"):
        await blobs.read(key)


async def test_check_proves_a_write(blobs: Blobs) -> None:
    assert await blobs.check() >= 0
