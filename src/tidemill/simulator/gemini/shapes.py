"""The wire shapes of Gemini's answers."""

from collections.abc import Mapping
from typing import Any

from tidemill.simulator.ask import Call, Finish, Reply
from tidemill.simulator.gemini.signatures import thought_signature

FINISH: Mapping[Finish, str] = {
    "end": "STOP",
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tools": "STOP",  # Gemini has no reason of its own for calls
    "filtered": "SAFETY",
}
_ID_CHARS = 8
_RATED = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)

Part = dict[str, Any]


def usage(prompt: int, said: int, thought: int, cached: int) -> dict[str, Any]:
    """Return the usage; candidates' tokens leave the thoughts out, the prompt's hold what was cached."""
    out: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": said,
        "totalTokenCount": prompt + said + thought,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }
    if thought:
        out["thoughtsTokenCount"] = thought
    if cached:
        out["cachedContentTokenCount"] = cached
        out["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    return out


def call_part(call: Call, seal: str | None, *, has_id: bool) -> Part:
    """Return a function call; models before Gemini 3 give no id, the name and the order tell their calls apart."""
    told: dict[str, Any] = {"name": call.name, "args": call.arguments}
    if has_id:
        told["id"] = call.key[:_ID_CHARS]
    part: Part = {"functionCall": told}
    return {**part, "thoughtSignature": seal} if seal else part


def parts_of(reply: Reply, *, shows_thoughts: bool, is_signed: bool, has_ids: bool) -> list[Part]:
    """Return the parts of a whole answer."""
    out: list[Part] = []
    if reply.reasoning and shows_thoughts:
        out.append({"text": reply.reasoning, "thought": True})
    if reply.text or not reply.calls:
        part: Part = {"text": reply.text}
        if is_signed and not reply.calls:
            part["thoughtSignature"] = thought_signature(reply.text)
        out.append(part)
    for at, call in enumerate(reply.calls):
        seal = thought_signature(call.key) if is_signed and at == 0 else None
        out.append(call_part(call, seal, has_id=has_ids))
    return out


def candidate(index: int, parts: list[Part], finish: str | None = None) -> dict[str, Any]:
    """Return a candidate; ``finish`` only on the last of a stream."""
    out: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if finish is not None:
        out["finishReason"] = finish
    if finish == "SAFETY":
        del out["content"]
        out["safetyRatings"] = ratings(blocked=True)
    return out


def ratings(*, blocked: bool) -> list[dict[str, Any]]:
    """Return safety ratings; when blocked, the last of them is why."""
    rated: list[dict[str, Any]] = [{"category": name, "probability": "NEGLIGIBLE"} for name in _RATED]
    if blocked:
        rated[-1] = {"category": _RATED[-1], "probability": "HIGH", "blocked": True}
    return rated
