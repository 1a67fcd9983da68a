"""The wire shapes of the Responses API: the response object and its output items.

Checked against the types of the openai Python package 3.54.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from tidemill.simulator.ask import Reply
from tidemill.simulator.decoded import obj, objects
from tidemill.simulator.openai.shapes import call_id, spoken_input


def usage(prompt: int, said: int, reasoning: int, cached: int) -> dict[str, Any]:
    """Return the usage block; output tokens hold the reasoning, input tokens what was cached."""
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": said + reasoning,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + said + reasoning,
    }


def response(body: Mapping[str, Any], name: str, created: int) -> dict[str, Any]:
    """Return a response that has just begun: what was asked is repeated, nothing is said yet."""
    reasoning, text = obj(body.get("reasoning")), obj(body.get("text"))
    return {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": body.get("metadata") or {},
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "presence_penalty": 0.0,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": 1.0 if body.get("temperature") is None else body["temperature"],
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [_shown_tool(tool) for tool in objects(body.get("tools"))],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": 1.0 if body.get("top_p") is None else body["top_p"],
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
    }


def _shown_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool as the response shows it: of a function every field, which is strict unless it says otherwise."""
    if tool["type"] != "function":
        return dict(tool)
    strict = tool.get("strict") is not False
    return {"description": None, "parameters": None, **tool, "strict": strict}


def ended(begun: Mapping[str, Any], output: list[dict[str, Any]], reply: Reply, used: Mapping[str, Any] | None) -> Any:
    """Return the response as it ends: completed, or incomplete and why."""
    reasons = {"length": "max_output_tokens", "filtered": "content_filter"}
    reason = reasons.get(reply.finish)
    return {
        **begun,
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else begun["created_at"],
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": used,
    }


def output_items(reply: Reply, body: Mapping[str, Any], name: str, custom: frozenset[str]) -> list[dict[str, Any]]:
    """Return the finished items of an answer in order: reasoning, the message, calls."""
    out: list[dict[str, Any]] = []
    if reply.reasoning:
        out.append(_reasoning(reply, body, name))
    is_cut = reply.finish in {"length", "filtered"}
    if reply.text or not (is_cut or reply.calls):
        part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": [], "text": reply.text}
        status = "incomplete" if is_cut else "completed"
        out.append({"id": f"msg_{name}", "type": "message", "status": status, "role": "assistant", "content": [part]})
    for call in reply.calls:
        head = {"id": f"fc_{call.key}", "status": "completed", "call_id": call_id(call), "name": call.name}
        spoken = spoken_input(call, custom)
        if call.name in custom:
            out.append({**head, "id": f"ctc_{call.key}", "type": "custom_tool_call", "input": spoken})
        else:
            out.append({**head, "type": "function_call", "arguments": spoken})
    return out


def _reasoning(reply: Reply, body: Mapping[str, Any], name: str) -> dict[str, Any]:
    asked = obj(body.get("reasoning"))
    is_shown = bool(asked.get("summary") or asked.get("generate_summary"))
    item: dict[str, Any] = {
        "id": f"rs_{name}",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": reply.reasoning}] if is_shown else [],
    }
    if "reasoning.encrypted_content" in (body.get("include") or []):
        sealed = hashlib.blake2b(reply.reasoning.encode(), digest_size=24).digest()
        item["encrypted_content"] = base64.b64encode(b"simulated" + sealed).decode()
    return item
