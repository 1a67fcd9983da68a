"""The console keeps its lists in step by live events, and finds its way back after the server was away."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.fixtures.processes import ADMIN, ADMIN_PASSWORD, Server, Simulator, SimulatorFactory
from tests.server.live_work import Work

BACK_MS = 60_000


@pytest.fixture
def simulator(make_simulator: SimulatorFactory) -> Simulator:
    return make_simulator("--latency", "0.1")


async def sign_in(page: Page, server: Server) -> None:
    await page.goto(server.base_url)
    await page.get_by_label("User name").fill(ADMIN)
    await page.get_by_label("Password").fill(ADMIN_PASSWORD)
    await page.get_by_test_id("sign-in").click()
    await expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.journey
async def test_a_task_moves_on_the_page_by_itself(page: Page, server: Server, simulator: Simulator) -> None:
    work = await asyncio.to_thread(lambda: Work(server, simulator, server.sign_in()))
    await sign_in(page, server)
    await page.get_by_test_id("nav-tasks").click()
    dot = page.get_by_test_id("live")
    await expect(dot).to_have_attribute("data-state", "live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/tasks" in request.url else None)
    await asyncio.to_thread(work.start_task, 60)
    row = page.get_by_test_id("task")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("/ 120")
    shown = await row.inner_text()
    await expect(row).not_to_have_text(shown, use_inner_text=True)
    await expect(row).to_contain_text("120 / 120", timeout=30_000)
    await expect(row).to_contain_text("Finished")
    # A start and an end; progress came with its figures.
    assert len(asked) <= 6, asked

    await asyncio.to_thread(server.stop)
    await expect(dot).to_have_attribute("data-state", "lost")
    await asyncio.to_thread(server.start)
    await expect(dot).to_have_attribute("data-state", "live", timeout=BACK_MS)
    await asyncio.to_thread(work.start_task, 1)
    await expect(row).to_have_count(2)
