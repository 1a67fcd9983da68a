"""An outside judge: llm-comply's four suites through the relay, with each provider's protocol behind it.

docs/guide/compatibility.md shows the same runs as a table. What a provider cannot do stands in ``REFUSED`` and
``WARNED`` test by test, with the reason; one that is an exception no more must be taken out.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.relay.rig import Rig
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.serving import running

RUN_S = 50.0
# The suites ask for reasoning only of models whose names sound as if they could.
MODEL = "gpt-5-claude-4"
# How many tests each suite of llm-comply 0.5 has.
SUITES: Mapping[str, int] = {"openai-chat": 9, "open-responses": 13, "anthropic": 9, "google-genai": 9}
# By the channel's provider: the upstream's model. vLLM stands for the many servers that speak OpenAI's chat and pass
# over fields that they do not know.
BEHIND: Mapping[str, str] = {
    "openai": "gpt-5",
    "openai-responses": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "vllm": "qwen3",
}
LENIENT = frozenset({"vllm"})
NO_SUCH_FIELD = "OpenAI's chat has no field `reasoning` and refuses it; between equal protocols nothing is taken out"
REFUSED: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("openai-chat", "openai"): {"chat-reasoning-summary": NO_SUCH_FIELD},
}
NO_COMPACTION = "only the Responses have a call that compacts; elsewhere it is answered 404, which the suite accepts"
WARNED: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("open-responses", behind): {"compact-response": NO_COMPACTION} for behind in BEHIND if behind != "openai-responses"
}


async def judged(url: str, suite: str) -> list[dict[str, Any]]:
    """Run one suite as its own command and return what it says of each test."""
    judge = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "ignore", "-m", "llm_comply.cli", "--json", "--verbose", "--format", suite),
        *("--base-url", f"{url}/v1", "--api-key", "user-1", "--model", MODEL, "--timeout", "20"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(RUN_S):
        said, complaint = await judge.communicate()
    assert said, complaint.decode()
    return json.loads(said)["results"]


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("suite", SUITES)
async def test_an_outside_judge_finds_nothing(rig: Rig, suite: str, behind: str) -> None:
    protocols = ("openai", "responses", "anthropic", "gemini")
    async with running(SimulatorConfig(protocols=protocols, strict=behind not in LENIENT)) as served:
        await rig.channel(served.origin, behind, provider=behind, models={MODEL: BEHIND[behind]})
        results = await judged(rig.url, suite)
    refused, warned = REFUSED.get((suite, behind), {}), WARNED.get((suite, behind), {})
    assert len(results) == SUITES[suite]
    failed = {result["id"]: result for result in results if result["status"] != "passed"}
    assert failed.keys() == refused.keys(), json.dumps(failed, indent=1)
    warnings = {result["id"]: result["warnings"] for result in results if result.get("warnings")}
    assert warnings.keys() - refused.keys() == warned.keys(), warnings
