"""Thinking in items of the Responses: OpenAI's own is sealed by OpenAI, any other carries a seal of ours.

A client sends reasoning items back as they came. What another provider gave must be known then: it goes to nobody but
its issuer, and never to OpenAI, which refuses items that it did not make.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from tidemill.wire.canonical_parts import OPENAI, Issuer, Reasoning, Redacted, ToolCall
from tidemill.wire.canonical_seal import Seal, read_seal, write_seal
from tidemill.wire.openai_responses.shapes import ReasoningIn

Fields = dict[str, Any]
Thought = Reasoning | Redacted


def read_reasoning(item: ReasoningIn, *, keeps_empty: bool) -> list[Thought] | Seal:
    """Return an item's parts, all with the item's id; a seal when it carries the signature of a call.

    ``keeps_empty``: an item that tells nothing is kept, for its id alone means something to its provider.
    """
    summaries = [part.text for part in item.summary or () if part.text]
    thoughts = [part.text for part in item.content or () if part.text]
    data = item.encrypted_content
    seal = read_seal(data) if data else None
    if seal is not None:
        return seal if seal.call else [_unsealed(seal, summaries, thoughts)]
    item_id = item.id or UNSET
    parts: list[Thought] = [Reasoning(text, summary=True, item_id=item_id) for text in summaries]
    parts += [Reasoning(text, item_id=item_id) for text in thoughts]
    if data and parts:
        parts[-1] = msgspec.structs.replace(parts[-1], sealed=data, issuer=OPENAI)
    elif data:
        parts.append(Redacted(data, OPENAI, item_id))
    elif keeps_empty and not parts:
        parts.append(Reasoning("", summary=True, item_id=item_id))
    return parts


def _unsealed(seal: Seal, summaries: list[str], thoughts: list[str]) -> Thought:
    text = "\n\n".join([*summaries, *thoughts])
    issuer, item_id = seal.issuer or UNSET, seal.item_id or UNSET
    summary = bool(summaries)
    if not seal.sealed:
        signature = seal.data if seal.data or seal.issuer else UNSET
        return Reasoning(text, signature, issuer, summary, item_id=item_id)
    if not text:
        return Redacted(seal.data, issuer, item_id)
    return Reasoning(text, UNSET, issuer, summary, seal.data, item_id)


def joins(before: Thought, part: Thought) -> bool:
    """Tell whether two parts that follow one another are of one item."""
    sealed = isinstance(before, Redacted) or before.sealed is not UNSET or before.signature is not UNSET
    return part.item_id is not UNSET and part.item_id == before.item_id and not sealed


def encrypted_content(part: Thought) -> str | None:
    """Return what seals a part: OpenAI's own as it is, any other's in a seal of ours."""
    if isinstance(part, Redacted):
        return _sealed(part.data, part)
    if part.sealed is not UNSET:
        return _sealed(part.sealed, part)
    if part.signature is UNSET and part.item_id is not UNSET:
        return None
    # Also without a signature: the item must be known as none of OpenAI's when it comes back.
    return write_seal(Seal(part.issuer or "", part.signature or "", item_id=part.item_id or ""))


def _sealed(data: str, part: Thought) -> str:
    if part.issuer == OPENAI:
        return data
    return write_seal(Seal(part.issuer or "", data, item_id=part.item_id or "", sealed=True))


def call_seal_fields(call: ToolCall, signature: str, issuer: Issuer, item_id: str) -> Fields:
    """Return the item that carries a call's signature: items of calls have no place for one."""
    return reasoning_fields(item_id, [], [], write_seal(Seal(issuer, signature, call=call.id)))


def reasoning_fields(
    item_id: str | None, summaries: Sequence[str], thoughts: Sequence[str], sealed: str | None
) -> Fields:
    """Return a reasoning item; OpenAI takes its own back without an id, but not with one that it did not give."""
    fields: Fields = {} if item_id is None else {"id": item_id}
    fields |= {"type": "reasoning", "summary": [{"type": "summary_text", "text": text} for text in summaries]}
    if thoughts:
        fields["content"] = [{"type": "reasoning_text", "text": text} for text in thoughts]
    if sealed is not None:
        fields["encrypted_content"] = sealed
    return fields


def item_fields(parts: Sequence[Thought], spare_id: str | None) -> Fields:
    """Return the item of parts that join."""
    last = parts[-1]
    told = [part for part in parts if isinstance(part, Reasoning) and part.text]
    return reasoning_fields(
        own_item_id(last) or spare_id,
        [part.text for part in told if part.summary],
        [part.text for part in told if not part.summary],
        encrypted_content(last),
    )


def own_item_id(part: Thought) -> str | None:
    """Return the id of a part's item if it looks like OpenAI's."""
    return part.item_id if part.item_id is not UNSET and part.item_id.startswith("rs_") else None
