"""One server for all tests of the relay's faults that need no settings of their own."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.faults.relay_rig import Home, Relay, settle_in
from tests.fixtures.processes import ServerFactory

SETTINGS = {
    "TIDEMILL_GATEWAY__HEARTBEAT_S": "0.5",
    "TIDEMILL_GATEWAY__JOURNAL_FLUSH_S": "0.05",
}


@pytest.fixture(scope="session")
def relay_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    factory = ServerFactory(tmp_path_factory.mktemp("relay"))
    try:
        yield settle_in(factory(SETTINGS).start())
    finally:
        factory.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
def relay(relay_home: Home, http: aiohttp.ClientSession) -> Relay:
    return Relay(relay_home, http)
