"""Providers as data: which protocol each speaks, where, with which key header, and what it does its own way.

A channel's ``provider`` picks a preset; a name nobody knows is an OpenAI-compatible service at the address given.
Addresses and oddities are written down from what is commonly known of these services and were not tried against them;
where one disagrees, its own documentation wins:
platform.openai.com/docs, learn.microsoft.com/azure/ai-foundry/openai/reference (deployment paths, ``api-version``,
``api-key``), docs.anthropic.com/en/api, ai.google.dev/api, api-docs.deepseek.com (``reasoning_content`` goes back),
help.aliyun.com/zh/model-studio (compatible mode), platform.moonshot.cn/docs, docs.bigmodel.cn (``/api/paas/v4``),
docs.mistral.ai (no ``stream_options``), console.groq.com/docs, openrouter.ai/docs, docs.x.ai, docs.siliconflow.cn,
docs.vllm.ai, docs.sglang.ai, docs.ollama.com, github.com/ggml-org/llama.cpp (server), jina.ai, docs.cohere.com.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Target

Scene = Literal[
    "chat", "completion", "embeddings", "image", "speech", "transcription", "moderation", "rerank", "compaction"
]

_EVERY: frozenset[Scene] = frozenset(
    {"chat", "completion", "embeddings", "image", "speech", "transcription", "moderation", "rerank"}
)
_VERSION_AT_END = re.compile(r"/v\d+\w*$")
# What people copy from documentation: the address of one call rather than of the service.
_ENDPOINTS = ("/chat/completions", "/embeddings", "/responses", "/messages", "/rerank", "/models")


class ModelQuirk(Struct, frozen=True):
    """Models whose upstream name begins as ``pattern`` says differ in these fields of Target."""

    pattern: "re.Pattern[str]"
    changes: Mapping[str, Any]


class Provider(Struct, frozen=True, kw_only=True):
    """One preset.

    ``base_url`` None: the channel must name one. ``version``: what ends an address that ends in no version of its own;
    empty for services that have none. ``key_header``: the header that carries the bare key, where it is not the
    protocol's own. ``deployments``: the model stands in the path, as Azure has it, with ``api_version`` in the query.
    ``takes_urls``: it fetches pictures by address itself. ``target`` holds what its requests must look like.
    """

    name: str
    dialect: Dialect = Dialect.OPENAI_CHAT
    base_url: str | None = None
    version: str = "/v1"
    key_header: str | None = None
    deployments: bool = False
    api_version: str = ""
    takes_urls: bool = True
    scenes: frozenset[Scene] = _EVERY
    target: Target = Target(model="")
    quirks: tuple[ModelQuirk, ...] = ()

    def root_of(self, address: str) -> str:
        """Return the address that a protocol's paths are appended to; with or without a version at its end."""
        root = address.strip().rstrip("/")
        for endpoint in _ENDPOINTS:
            root = root.removesuffix(endpoint)
        if self.deployments:
            return root if root.endswith("/openai") else f"{root}/openai"
        return root if not self.version or _VERSION_AT_END.search(root) else f"{root}{self.version}"

    def target_for(self, model: str, max_tokens: int | None = None) -> Target:
        """Return what a request for the upstream's ``model`` must look like."""
        changes: dict[str, Any] = {"model": model}
        if max_tokens is not None:
            changes["max_tokens"] = max_tokens
        for quirk in self.quirks:
            if quirk.pattern.match(model):
                changes.update(quirk.changes)
        return msgspec.structs.replace(self.target, **changes)


def _target(**fields: Any) -> Target:
    return Target(model="", **fields)


def _quirk(pattern: str, **changes: Any) -> ModelQuirk:
    return ModelQuirk(re.compile(pattern), changes)


def _scenes(*names: Scene) -> frozenset[Scene]:
    return frozenset(names)


# Reasoning models bound thought and answer together by a field of another name, and draw tokens as they like.
_OPENAI_QUIRKS = (
    _quirk(r"o\d|gpt-5", token_field="max_completion_tokens"),  # noqa: S106 - a field's name
    _quirk(r"o\d|gpt-5(-mini|-nano|-pro)?(-\d|$)", takes_sampling=False),
)
# From 4.6 on Claude decides how much to think; from Opus 4.7 on it refuses budgets and sampling.
_CLAUDE_QUIRKS = (
    _quirk(r"(.*[./])?claude-(opus|sonnet|haiku)-(4-[6-9]|[5-9])", thinking="adaptive"),
    _quirk(r"(.*[./])?claude-(opus-4-[7-9]|(opus|sonnet|haiku)-[5-9])", takes_sampling=False),
)
_GEMINI_QUIRKS = (
    _quirk(r"gemini-[3-9]", thinking="level"),
    _quirk(r"gemini-(1|2\.0)|gemma|learnlm", thinking="none"),
)
_OWN_SERVER = _target(extensions=frozenset({"top_k"}))
_WITH_HISTORY = _target(history="reasoning_content")
_TEXTS = _scenes("chat", "completion", "embeddings")

OPENAI = Provider(name="openai", base_url="https://api.openai.com/v1", quirks=_OPENAI_QUIRKS)

_ALL = (
    OPENAI,
    Provider(
        name="openai-responses",
        dialect=Dialect.OPENAI_RESPONSES,
        base_url="https://api.openai.com/v1",
        scenes=_EVERY | _scenes("compaction"),
        quirks=_OPENAI_QUIRKS,
    ),
    Provider(
        name="azure",
        key_header="api-key",
        deployments=True,
        api_version="2024-10-21",
        scenes=_EVERY - _scenes("moderation", "rerank"),
        quirks=_OPENAI_QUIRKS,
    ),
    Provider(
        name="anthropic",
        dialect=Dialect.ANTHROPIC,
        base_url="https://api.anthropic.com/v1",
        scenes=_scenes("chat"),
        quirks=_CLAUDE_QUIRKS,
    ),
    Provider(
        name="gemini",
        dialect=Dialect.GEMINI,
        base_url="https://generativelanguage.googleapis.com/v1beta",
        version="/v1beta",
        takes_urls=False,
        scenes=_scenes("chat", "embeddings"),
        quirks=_GEMINI_QUIRKS,
    ),
    Provider(
        name="deepseek",
        base_url="https://api.deepseek.com/v1",
        scenes=_scenes("chat", "completion"),
        target=_target(history="reasoning_content", flat_text=True),
    ),
    Provider(
        name="qwen",
        base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
        scenes=_TEXTS,
        target=_target(cache_marks="cache_control", extensions=frozenset({"top_k"})),
    ),
    Provider(name="moonshot", base_url="https://api.moonshot.cn/v1", scenes=_scenes("chat"), target=_WITH_HISTORY),
    Provider(
        name="zhipu",
        base_url="https://open.bigmodel.cn/api/paas/v4",
        scenes=_scenes("chat", "embeddings", "image", "speech", "transcription", "moderation", "rerank"),
        target=_WITH_HISTORY,
    ),
    Provider(
        name="mistral",
        base_url="https://api.mistral.ai/v1",
        scenes=_scenes("chat", "embeddings", "transcription", "moderation"),
        target=_target(asks_usage=False),
    ),
    Provider(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        scenes=_scenes("chat", "speech", "transcription"),
    ),
    Provider(
        name="openrouter",
        base_url="https://openrouter.ai/api/v1",
        scenes=_TEXTS,
        target=_target(history="reasoning_details", cache_marks="cache_control", extensions=frozenset({"top_k"})),
    ),
    Provider(name="xai", base_url="https://api.x.ai/v1", scenes=_scenes("chat", "completion", "image")),
    Provider(
        name="siliconflow",
        base_url="https://api.siliconflow.cn/v1",
        scenes=_scenes("chat", "embeddings", "image", "speech", "transcription", "rerank"),
        target=_OWN_SERVER,
    ),
    Provider(
        name="vllm",
        scenes=_scenes("chat", "completion", "embeddings", "transcription", "rerank"),
        target=_OWN_SERVER,
    ),
    Provider(name="sglang", scenes=_scenes("chat", "completion", "embeddings", "rerank"), target=_OWN_SERVER),
    Provider(name="ollama", base_url="http://127.0.0.1:11434/v1", takes_urls=False, scenes=_TEXTS),
    Provider(
        name="llamacpp",
        scenes=_scenes("chat", "completion", "embeddings", "rerank"),
        target=_OWN_SERVER,
    ),
    # The relay's own llama-server processes; nobody names this preset by hand.
    Provider(name="local", scenes=_scenes("chat", "completion", "embeddings", "rerank"), target=_OWN_SERVER),
    Provider(name="jina", base_url="https://api.jina.ai/v1", scenes=_scenes("embeddings", "rerank")),
    Provider(name="cohere", base_url="https://api.cohere.com/v2", version="/v2", scenes=_scenes("rerank")),
)
PROVIDERS: Mapping[str, Provider] = MappingProxyType({preset.name: preset for preset in _ALL})


def provider_of(name: str) -> Provider:
    """Return the preset of that name; for a name nobody knows the OpenAI-compatible one, which serves every scene."""
    return PROVIDERS.get(name, OPENAI)
