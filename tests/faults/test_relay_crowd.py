"""Two thousand slow streams at once through one process: every one whole and in order."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.faults.relay_rig import Relay
from tests.fixtures.processes import Child, clean_environment

pytestmark = pytest.mark.xdist_group("relay crowd")
CROWD = Path(__file__).with_name("stream_crowd.py")
STREAMS = 2_000
CHUNKS = 12
INTERVAL_MS = 250
MORE_RSS_BYTES = 400 * 1024 * 1024
# Opened by 2,000 streams on both sides; a machine that allows fewer cannot hold them.
WHOLE_S = 90.0


async def test_two_thousand_slow_streams_are_whole(relay: Relay, tmp_path: Path) -> None:
    children: list[Child] = []

    def start(*words: object) -> Child:
        command = [sys.executable, str(CROWD), *map(str, words)]
        children.append(Child(command, tmp_path, clean_environment()))
        return children[-1]

    try:
        service = start("serve", STREAMS, CHUNKS, INTERVAL_MS)
        port = json.loads(await asyncio.to_thread(service.wait_for_line, '"port"'))["port"]
        model = relay.new_model()
        channel = relay.channel(f"http://127.0.0.1:{port}", model, max_concurrent=STREAMS)
        before = relay.rss_bytes()
        clients = start("call", STREAMS, CHUNKS, relay.home.server.port, relay.key, model)
        await asyncio.to_thread(service.wait_for_line, '"here"', WHOLE_S)
        assert relay.state(channel)["in_flight"] == STREAMS
        most = relay.rss_bytes()
        outcome = json.loads(await asyncio.to_thread(clients.wait_for_line, '"whole"', WHOLE_S))
        most = max(most, relay.rss_bytes())
    finally:
        for child in children:
            child.end_group()
    megabytes = [round(size / 1024 / 1024) for size in (before, most)]
    print(f"{STREAMS} streams: {megabytes[0]} -> {megabytes[1]} MB")  # noqa: T201 - shown with -s
    assert outcome == {"whole": STREAMS, "others": []}
    assert most - before < MORE_RSS_BYTES
    rows = await relay.usage(model, STREAMS)
    assert {row["status"] for row in rows} == {"ok"}
    assert relay.state(channel)["in_flight"] == 0
