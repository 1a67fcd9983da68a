"""A channel goes down and comes back in front of its administrator, who asks meanwhile who would serve a call."""

import asyncio
import json
import urllib.request

from playwright.async_api import Locator, Page, expect

from tests.fixtures.processes import LOOPBACK_ONLY, Server, ServerFactory, Simulator, SimulatorFactory
from tests.journeys.test_first_generation import sign_in

# Longer than the page takes to look again, short enough to wait for.
SETTINGS = {
    "TIDEMILL_GATEWAY__BREAKER_PAUSE_S": "15",
    "TIDEMILL_GATEWAY__BREAKER_MAX_PAUSE_S": "15",
}
NOTICED_MS = 40_000
CALLS = 10


def strike(simulator: Simulator, faults: str) -> None:
    """Order faults of a running simulator."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        simulator.base_url.removesuffix("/v1") + "/_simulator/faults",
        json.dumps({"faults": faults}).encode(),
        {"Content-Type": "application/json"},
    )
    with LOOPBACK_ONLY.open(request, timeout=10) as answer:
        assert answer.status == 200


def call(server: Server, token: str) -> None:
    """Make a call; the reserve answers while the first channel cannot."""
    ask = {"model": "tide", "messages": [{"role": "user", "content": "hello"}]}
    assert server.post("/v1/chat/completions", ask, token)["choices"]


async def ask_who(page: Page) -> Locator:
    """Ask the box who would serve the model; return its lines."""
    await page.get_by_test_id("who-model").fill("tide")
    await page.get_by_test_id("who-ask").click()
    lines = page.get_by_test_id("who-candidate")
    await expect(lines).to_have_count(2)
    return lines


async def test_a_channel_goes_down_is_shown_with_its_reason_and_recovers(
    page: Page, make_server: ServerFactory, make_simulator: SimulatorFactory
) -> None:
    server, first, reserve = make_server(SETTINGS).start(), make_simulator(), make_simulator()
    token = server.sign_in()
    for name, simulator, priority in (("first", first, 5), ("reserve", reserve, 0)):
        wish = {"name": name, "base_url": simulator.base_url, "models": ["tide"], "priority": priority}
        server.post("/api/v1/admin/channels", wish, token)

    await sign_in(page, server)
    await page.get_by_test_id("nav-channels").click()
    row = page.get_by_test_id("channel").filter(has_text=first.base_url)
    state = row.get_by_test_id("channel-state")
    await expect(state).to_have_text("Enabled")
    lines = await ask_who(page)
    await expect(lines.nth(0)).to_have_attribute("data-verdict", "serves")
    await expect(lines.nth(0)).to_contain_text("first")

    strike(first, "500")
    for _ in range(CALLS):
        await asyncio.to_thread(call, server, token)
    await expect(state).to_have_text("Breaker open", timeout=NOTICED_MS)
    await page.get_by_role("button", name="Close").click()
    lines = await ask_who(page)
    await expect(lines.nth(0)).to_have_attribute("data-verdict", "serves")
    await expect(lines.nth(0)).to_contain_text("reserve")
    await row.get_by_text("first", exact=True).click()  # not its middle, where numbers are edited in place
    sheet = page.get_by_test_id("channel-sheet")
    await expect(sheet.get_by_test_id("channel-lanes")).to_contain_text("error", ignore_case=True, timeout=NOTICED_MS)
    await expect(sheet.get_by_test_id("channel-events")).to_contain_text("Breaker opened", timeout=NOTICED_MS)

    strike(first, "")
    # The pause over, the next call is let through and closes the breaker.
    async with asyncio.timeout(NOTICED_MS / 1000):
        while await sheet.get_by_test_id("channel-lanes").count() > 0:
            await asyncio.to_thread(call, server, token)
            await page.wait_for_timeout(250)
    await expect(sheet.get_by_test_id("channel-state")).to_have_text("Enabled")
    await expect(sheet.get_by_test_id("channel-events")).to_contain_text("Breaker closed", timeout=NOTICED_MS)
    await page.get_by_role("button", name="Close").first.click()
    await page.get_by_test_id("bell").click()
    alert = page.get_by_test_id("alert").filter(has_text="first")
    await expect(alert.get_by_test_id("alert-status")).to_have_text("Recovered", timeout=NOTICED_MS)
