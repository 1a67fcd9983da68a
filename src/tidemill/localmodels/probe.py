"""Ask a llama-server on loopback how it is."""

import asyncio
from typing import TYPE_CHECKING, Final

from tidemill.platform.http import open_session

if TYPE_CHECKING:
    from aiohttp import ClientSession

_OK: Final = 200
_MAX_METRICS_BYTES: Final = 1 << 20
_PREFIX: Final = "llamacpp:"


class Probe:
    """One session for all instances, opened at the first question."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None

    async def healthy(self, port: int, timeout_s: float) -> bool:
        """Tell whether ``/health`` says ok; not yet listening, loading and too slow all count as no."""
        return await self._get(port, "/health", "", timeout_s) is not None

    async def is_ours(self, port: int, api_key: str, timeout_s: float) -> bool:
        """Tell whether the server takes this key: another program may have been faster on the port."""
        return await self._get(port, "/props", api_key, timeout_s) is not None

    async def metrics(self, port: int, api_key: str, timeout_s: float) -> dict[str, float] | None:
        """Return the server's own counters, None when it does not answer."""
        body = await self._get(port, "/metrics", api_key, timeout_s)
        return None if body is None else parse_metrics(body.decode("utf-8", "replace"))

    async def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _get(self, port: int, path: str, api_key: str, timeout_s: float) -> bytes | None:
        import aiohttp  # noqa: PLC0415 - loaded on first use

        if self._session is None:
            self._session = open_session(allow_private=True)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
            ):
                body = await answer.content.read(_MAX_METRICS_BYTES)
                return body if answer.status == _OK else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None


def parse_metrics(text: str) -> dict[str, float]:
    """Read the plain lines ``name value`` of the Prometheus text format; lines with labels are left out."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        name, _, number = line.strip().partition(" ")
        if not name or name.startswith("#") or "{" in name:
            continue
        try:
            values[name.removeprefix(_PREFIX)] = float(number)
        except ValueError:
            continue
    return values
