"""Read a checked message request into what it asks for."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal

from tidemill.simulator.anthropic.errors import bad
from tidemill.simulator.anthropic.turns import Blocks, blocks_of
from tidemill.simulator.ask import Ask, Call, Media, Result, Tool, Turn
from tidemill.simulator.decoded import items, obj, objects, schema_or_none, string

_FILES = frozenset({"image", "document"})


def read_message(body: Mapping[str, Any], *, thinks: bool) -> Ask:
    """Read a checked body; raises Refused for files that are no base64."""
    turns: list[Turn] = []
    if system := _text(blocks_of(body.get("system") or "")):
        turns.append(Turn("system", system))
    names: dict[str, str] = {}
    for message in objects(body["messages"]):
        turns += _turns(message["role"], blocks_of(message["content"]), names)
    choice = obj(body.get("tool_choice"))
    kind = choice.get("type", "auto")
    demanded: Literal["auto", "none", "required"] = "required" if kind in {"any", "tool"} else "auto"
    form = obj(obj(body.get("output_config")).get("format"))
    return Ask(
        turns=turns,
        tools=[
            Tool(tool["name"], obj(tool["input_schema"]))
            for tool in objects(body.get("tools"))
            if "input_schema" in tool
        ],
        choice="none" if kind == "none" else demanded,
        only=[choice["name"]] if kind == "tool" else None,
        parallel=choice.get("disable_parallel_tool_use") is not True,
        schema=schema_or_none(form.get("schema")),
        thinks=thinks or obj(body.get("thinking")).get("type") in {"enabled", "adaptive"},
        max_tokens=body.get("max_tokens"),
        stops=tuple(items(body.get("stop_sequences"))),
    )


def _turns(role: Literal["user", "assistant", "system"], blocks: Blocks, names: dict[str, str]) -> list[Turn]:
    """Return a message as turns: what tools answered stands before what the user says beside it."""
    turns: list[Turn] = []
    results = [block for block in blocks if block["type"] == "tool_result"]
    if results:
        answers = [
            Result(
                names.get(block["tool_use_id"], "tool"),
                _text(blocks_of(block.get("content") or "")),
                failed=block.get("is_error") is True,
            )
            for block in results
        ]
        media = [
            _media(part)
            for block in results
            for part in blocks_of(block.get("content") or "")
            if part["type"] in _FILES
        ]
        turns.append(Turn("tool", "\n".join(answer.text for answer in answers), media, (), answers))
    calls: list[Call] = []
    for block in blocks:
        if block["type"] == "tool_use":
            names[block["id"]] = block["name"]
            calls.append(Call(block["name"], block["input"]))
    text = _text(blocks)
    media = [_media(block) for block in blocks if block["type"] in _FILES]
    if text or media or calls or not results:
        turns.append(Turn(role, text, media, calls))
    return turns


def _text(blocks: Blocks) -> str:
    texts: list[str] = []
    for block in blocks:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "search_result":
            texts += [string(part.get("text")) for part in objects(block["content"])]
    return "\n".join(texts)


def _media(block: Mapping[str, Any]) -> Media:
    source, kind = block["source"], "image" if block["type"] == "image" else "document"
    match source["type"]:
        case "base64":
            try:
                return Media(kind, source["media_type"], base64.b64decode(source["data"], validate=True))
            except (binascii.Error, ValueError):
                raise bad(f"messages: {kind}.source.base64.data: invalid base64 data") from None
        case "text":
            return Media(kind, source["media_type"], source["data"].encode())
        case "content":
            return Media(kind, "text/plain", _text(blocks_of(source["content"])).encode())
        case "url":
            return Media(kind, url=source["url"])
        case _:
            return Media(kind, url=f"file:{source['file_id']}")
