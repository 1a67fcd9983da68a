"""The simulated model without a server: one chat request in OpenAI's words, one answer."""

from collections.abc import Mapping
from typing import Any

from tidemill.simulator.ask import Reply
from tidemill.simulator.deciding import decide
from tidemill.simulator.openai.chat_reading import read_chat


def reply_to(body: Mapping[str, Any], *, seed: int, low_share: float, fault: str | None, index: int = 0) -> Reply:
    """Return the answer to a chat request, the same for the same request and seed.

    ``index`` is the number of the choice when several are asked for. ``fault`` may be one of the content faults.
    Raises SchemaRefused when a schema of the request cannot be met.
    """
    faults = [fault] if fault else []
    return decide(read_chat(body), seed=seed, low_share=low_share, faults=faults, index=index)
