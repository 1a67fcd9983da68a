"""From sign-in to export in a browser, on a real small model that runs on this machine."""

import json
import os
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.fixtures.processes import ADMIN, ADMIN_PASSWORD, Server, ServerFactory

EXAMPLES = Path(__file__).parents[2] / "examples"
# A model's answer on two busy cores takes seconds, its load a few more.
LOAD_MS = 120_000
ROW_MS = 180_000
TASK_MS = 420_000


@pytest.fixture
def served_model(make_server: ServerFactory, demo_model: Path) -> Server:
    server = make_server()
    models = server.data_dir / "models"
    models.mkdir(parents=True)
    os.link(demo_model, models / demo_model.name)
    return server.start()


async def sign_in(page: Page, server: Server) -> None:
    await page.goto(server.base_url)
    await page.get_by_label("User name").fill(ADMIN)
    await page.get_by_label("Password").fill(ADMIN_PASSWORD)
    await page.get_by_test_id("sign-in").click()
    await expect(page.get_by_role("heading", level=1)).to_be_visible()


async def start_local_model(page: Page) -> str:
    await page.get_by_test_id("nav-localModels").click()
    card = page.get_by_test_id("local-model")
    await expect(card).to_have_attribute("data-status", "available")
    await card.get_by_test_id("model-start").click()
    await expect(card).to_have_attribute("data-status", "running", timeout=LOAD_MS)
    return str(await card.get_attribute("data-name"))


async def upload(page: Page, name: str) -> None:
    await page.get_by_test_id("nav-samples").click()
    await page.get_by_test_id("file-input").set_input_files(EXAMPLES / name)
    await expect(page.get_by_role("link", name=name)).to_be_visible()


async def start_task(page: Page, file: str, model: str) -> None:
    await page.get_by_test_id("nav-tasks").click()
    await page.get_by_test_id("new-task").first.click()
    chosen = page.get_by_test_id("start-file").locator("option", has_text=file)
    await page.get_by_test_id("start-file").select_option(value=await chosen.get_attribute("value"))
    await page.get_by_test_id("start-type").select_option("text_classification")
    await page.get_by_test_id("start-models").get_by_label(model).check()
    for field, value in (("rounds", "1"), ("variants", "2"), ("limit", "4"), ("min-score", "0")):
        await page.get_by_test_id(f"start-{field}").fill(value)
    await expect(page.get_by_test_id("start-total")).to_contain_text("8 rows")
    await page.get_by_test_id("start-submit").click()


@pytest.mark.timeout(900)
async def test_samples_become_reviewed_data_on_a_local_model(page: Page, served_model: Server, tmp_path: Path) -> None:
    await sign_in(page, served_model)
    model = await start_local_model(page)
    assert model == "smollm2-135m-instruct"
    await upload(page, "text_classification.en.jsonl")
    await upload(page, "text_classification.zh.jsonl")
    await start_task(page, "text_classification.en.jsonl", model)

    # Live: something is finished and shown before the task ends; then stop and resume.
    stop = page.get_by_test_id("task-stop")
    await expect(stop).to_be_visible()
    await expect(page.get_by_test_id("lane").first).to_be_visible(timeout=ROW_MS)
    await expect(page.get_by_test_id("task-count")).not_to_have_text("0 / 8", timeout=ROW_MS)
    await stop.click()
    await expect(page.get_by_test_id("task-resume")).to_be_visible()
    await page.reload()
    await page.get_by_test_id("task-resume").click()
    await expect(page.get_by_test_id("task-count")).to_have_text("8 / 8", timeout=TASK_MS)
    await expect(page.get_by_test_id("task-stop")).to_have_count(0)
    task_id = str(await page.get_by_test_id("task-id").inner_text())

    token = served_model.sign_in()
    status = served_model.get(f"/api/status/{task_id}", token)["data"]
    assert status["status"] == "finished"
    assert status["current"] == status["total"] == 8
    rows = served_model.get(f"/api/generated_data?task_id={task_id}&page_size=100", token)["data"]["items"]
    assert len(rows) + status["failed"] == 8
    assert len({row["item_no"] for row in rows}) == len(rows)

    # Review by keyboard, then export what was accepted.
    await page.get_by_test_id("to-review").click()
    await expect(page.get_by_test_id("review-row").first).to_be_visible()
    await page.keyboard.press("a")
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    rejected = f"/api/generated_data?task_id={task_id}&status=rejected"

    async def rejected_rows() -> int:
        return int(served_model.get(rejected, token)["data"]["total"])

    for _ in range(100):
        if await rejected_rows() == 1:
            break
        await page.wait_for_timeout(100)
    assert await rejected_rows() == 1
    accepted = served_model.get(f"/api/generated_data?task_id={task_id}&status=accepted", token)["data"]["total"]
    await page.get_by_test_id("export").click()
    async with page.expect_download() as download:
        await page.get_by_test_id("export-accepted-jsonl").click()
    saved = tmp_path / "export.jsonl"
    await (await download.value).save_as(saved)
    lines = [json.loads(line) for line in saved.read_text("utf-8").splitlines()]
    assert len(lines) == accepted
    assert all(line["text"] and line["label"] for line in lines)

    await page.get_by_test_id("nav-reports").click()
    await expect(page.get_by_role("link", name=task_id)).to_be_visible()


async def test_chinese_and_dark_are_remembered(page: Page, server: Server) -> None:
    await sign_in(page, server)
    await page.get_by_test_id("language").click()
    await expect(page.get_by_test_id("nav-samples")).to_have_text("样本")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await page.get_by_test_id("nav-tasks").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("任务")


async def test_an_ended_session_leads_to_sign_in_and_back(page: Page, server: Server) -> None:
    await sign_in(page, server)
    await page.get_by_test_id("nav-keys").click()
    await expect(page).to_have_url(f"{server.base_url}/keys")
    await page.context.clear_cookies()
    await page.reload()
    await page.get_by_label("User name").fill(ADMIN)
    await page.get_by_label("Password").fill(ADMIN_PASSWORD)
    await page.get_by_test_id("sign-in").click()
    await expect(page).to_have_url(f"{server.base_url}/keys")
