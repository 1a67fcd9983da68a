"""What a call costs in modules: the client that is not picked is not loaded."""

import subprocess
import sys

import pytest

from tests.architecture.graph import ROOT

# Serves one answer from a socket of its own, so that nothing but the relay loads anything.
SCRIPT = """
import asyncio, sys
import tidemill.relay.app, tidemill.server.wiring
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.relay.upstreams.engines import open_upstreams
from tidemill.relay.upstreams.port import Errand

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok")
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    upstreams = open_upstreams(GatewaySettings({settings}))
    url = "http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
    got = await upstreams.send(Errand(1, url, [], b""))
    assert await got.read(10) == b"ok"
    await got.finish()
    await upstreams.close()
    server.close()

asyncio.run(main())
print(*sorted({{"aiohttp", "yarl", "httptools", "tidemill.relay.upstreams.http1"}} & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [("", ["httptools", "tidemill.relay.upstreams.http1"]), ("http_client='aiohttp'", ["aiohttp", "yarl"])],
)
def test_a_call_loads_the_client_that_was_picked(settings: str, loaded: list[str]) -> None:
    script = SCRIPT.format(settings=settings)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == loaded
