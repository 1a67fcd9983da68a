"""What a simulated provider is told: protocols, speed, size, names and how often it fails."""

from collections.abc import Mapping

from msgspec import Struct

from tidemill.simulator.fault_words import Fault

PROTOCOLS = ("openai", "responses", "anthropic", "gemini")
"""Every protocol that can be simulated."""

REASONING_FIELDS = ("reasoning_content", "reasoning", "none")
"""Where a chat completion puts its reasoning; OpenAI itself shows none."""


class SimulatorConfig(Struct, frozen=True):
    """Everything a simulator can be told. Times are seconds, shares are probabilities 0..1.

    ``latency_s`` passes before the first byte of an answer, while the request holds one of ``slots`` (0 = no bound);
    requests beyond the slots wait in the order of arrival. ``models`` empty accepts any model name. ``faults`` are
    shares by kind, or words of ``fault_words``. ``strict`` refuses fields that the provider does not know.
    ``thinks`` reasons even when not asked to. ``keep_responses`` bounds the stored answers of the Responses API.
    """

    protocols: tuple[str, ...] = ("openai",)
    latency_s: float = 0.0
    chunk_interval_s: float = 0.0
    slots: int = 0
    models: tuple[str, ...] = ()
    api_key: str | None = None
    faults: Mapping[str, float] | str | tuple[Fault, ...] = ()
    retry_after_s: float = 1.0
    low_share: float = 0.0
    seed: int = 0
    dimensions: int = 384
    strict: bool = True
    thinks: bool = False
    reasoning_field: str = "reasoning_content"
    keep_requests: int = 20
    keep_responses: int = 1000
