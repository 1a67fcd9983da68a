"""Send an answer piece by piece, at its pace, and spoil it where a fault is planned."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tidemill.simulator.exchange import GARBAGE, SILENCE_S, Ended, Exchange, encode

EVENT_STREAM: Mapping[str, str] = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
PIECE_CHARS = 8


def event(value: Any) -> bytes:
    """Return one server-sent event with a JSON value."""
    return b"data: " + encode(value) + b"\n\n"


def named_event(name: str, value: Any) -> bytes:
    """Return one server-sent event with a name and a JSON value."""
    return b"event: " + name.encode() + b"\ndata: " + encode(value) + b"\n\n"


def pieces(text: str) -> list[str]:
    """Cut a text into the pieces that a stream sends one by one."""
    return [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]


class Stream:
    """One streamed answer.

    ``content`` events are those that carry text, reasoning or arguments; faults with ``after`` count them. ``total`` is
    how many of them will come: half of it is where a fault strikes that does not say after how many.
    """

    def __init__(self, exchange: Exchange, total: int) -> None:
        self._exchange = exchange
        self._plan = exchange.plan
        pace = self._plan.get("pace")
        self._interval_s = exchange.config.chunk_interval_s if pace is None or pace.s is None else pace.s
        self._half = max(1, total // 2)
        self._sent = 0
        frames = self._plan.get("frames")
        self._form = frames.form if frames else ""
        self._held = b""

    async def open(self, headers: Mapping[str, str] = EVENT_STREAM) -> None:
        """Send the head; raises Ended when the plan lets no event follow."""
        plan = self._plan
        if not plan:
            await self._exchange.start(200, headers)
            return
        if "error200" in plan or "empty" in plan:
            await self._exchange.deliver(b"", {} if "error200" in plan else headers)
            raise Ended
        if kind := plan.get("type"):
            headers = {**headers, "content-type": kind.as_ or "text/html"}
        await self._exchange.start(200, headers)
        if (cut := plan.get("cut")) and cut.at == "start":
            raise Ended

    async def send(self, frame: bytes) -> None:
        """Send an event that carries no content."""
        if self._form:
            await self._shaped(frame)
        else:
            await self._exchange.write(frame)

    async def content(self, frame: bytes, *, is_tool: bool = False) -> None:
        """Send an event with content; raises Ended when a fault ends the stream here."""
        if self._plan:
            await self._strike(frame, is_tool=is_tool)
        exchange = self._exchange
        if self._interval_s and self._sent:
            await exchange.pause(self._interval_s)
        exchange.events = self._sent = self._sent + 1
        if self._form:
            await self._shaped(frame)
        else:
            await exchange.write(frame)

    async def finish(self, frame: bytes = b"") -> None:
        """Send the closing frame and end the answer; raises Ended when a fault was due after all content."""
        if self._plan:
            await self._strike(frame, is_tool=False, is_last=True)
            if "no-done" in self._plan:
                frame = b""
        if self._form:
            await self._shaped(frame)
            frame, self._held = self._held, b""
        await self._exchange.write(frame, more=False)

    async def _strike(self, frame: bytes, *, is_tool: bool, is_last: bool = False) -> None:
        plan = self._plan
        if cut := plan.get("cut"):
            if cut.at == "tool" and (is_tool or is_last):
                await self._break_off(frame)
            elif cut.at != "tool" and self._is_due(cut.after, is_last=is_last):
                await self._break_off(frame if cut.at == "event" else b"")
        if (stall := plan.get("stall")) and self._is_due(stall.after, is_last=False):
            await self._exchange.pause(SILENCE_S if stall.s is None else stall.s)
        if (wrong := plan.get("error")) and self._is_due(wrong.after, is_last=is_last):
            await self._end(self._exchange.failure_of(wrong.as_ or "500"))
        if (junk := plan.get("bytes")) and self._is_due(junk.after, is_last=is_last):
            await self._end(b"data: " + GARBAGE)

    def _is_due(self, after: int | None, *, is_last: bool) -> bool:
        due = self._half if after is None else after
        return self._sent == due or (is_last and self._sent < due)

    async def _break_off(self, frame: bytes) -> None:
        """Send half of ``frame``; the body stays open-ended, so the server drops the connection."""
        await self._exchange.write(self._held + frame[: len(frame) // 2])
        raise Ended

    async def _end(self, frame: bytes) -> None:
        await self._exchange.write(self._held + frame, more=False)
        raise Ended

    async def _shaped(self, frame: bytes) -> None:
        match self._form:
            case "split":
                third = len(frame) // 3
                for part in (frame[:third], frame[third : 2 * third], frame[2 * third :]):
                    await self._exchange.write(part)
                    await asyncio.sleep(0)
            case "joined":
                self._held += frame
                if self._sent % 3 == 0:
                    frame, self._held = self._held, b""
                    await self._exchange.write(frame)
            case "crlf":
                await self._exchange.write(frame.replace(b"\n", b"\r\n"))
            case "comments":
                await self._exchange.write(b": keep-alive\n\n" + frame)
            case _:
                await self._exchange.write(frame.replace(b"data: ", b"data:").replace(b"event: ", b"event:"))
