"""Background work as an administrator sees it: queues fill and drain, a dead letter is mended, a schedule fires."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import FilePayload, Page, expect

from tests.fixtures.processes import Server, Simulator
from tests.journeys import test_first_generation as journey

EXAMPLES = Path(__file__).parents[2] / "examples"
FILE = "text_classification.en.jsonl"
MODEL = "sim-model"
# A start, a small task on the simulator and the page's next look at it.
SOON_MS = 30_000


def add_channel(server: Server, simulator: Simulator, token: str) -> None:
    server.post(
        "/api/v1/admin/channels",
        {"name": "simulated", "base_url": simulator.base_url, "models": {MODEL: MODEL}, "keys": []},
        token,
    )


async def sign_in(page: Page, server: Server) -> None:
    await journey.sign_in(page, server)
    await expect(page.get_by_test_id("nav-jobs")).to_be_visible()


def start_of(file_id: int) -> dict[str, Any]:
    return {
        "file_id": file_id,
        "task_type": "text_classification",
        "models": [MODEL],
        "sample_limit": 1,
        "data_rounds": 1,
        "variants_per_sample": 1,
    }


async def uploaded(page: Page, server: Server) -> int:
    """Upload the samples with the session of the page and return the file's id."""
    sent = FilePayload(name=FILE, mimeType="application/x-ndjson", buffer=(EXAMPLES / FILE).read_bytes())
    answer = await page.request.post(
        f"{server.base_url}/api/data_files/upload", multipart={"file": sent}, headers={"X-Tidemill": "1"}
    )
    assert answer.ok, await answer.text()
    return int((await answer.json())["data"]["id"])


async def test_a_dead_letter_is_edited_and_replayed(page: Page, server: Server, simulator: Simulator) -> None:
    token = server.sign_in()
    add_channel(server, simulator, token)
    await sign_in(page, server)
    kept = await uploaded(page, server)
    lost = await uploaded(page, server)
    scheduled = {"name": "weekly", "type": "datagen.start", "payload": start_of(lost), "cron": "0 3 * * 1"}
    weekly = server.post("/api/v1/schedules", scheduled, token)
    gone = await page.request.delete(f"{server.base_url}/api/data_files/{lost}", headers={"X-Tidemill": "1"})
    assert gone.ok, await gone.text()
    for _ in range(3):
        server.post(f"/api/v1/schedules/{weekly['id']}/run", {}, token)

    # Three starts find no file: grouped by that, and each can be looked into.
    await page.get_by_test_id("nav-jobs").click()
    await expect(page.get_by_test_id("queue-dead")).to_have_text("3", timeout=SOON_MS)
    await page.get_by_test_id("queue-dead").get_by_role("link").click()
    await expect(page.get_by_test_id("error-group")).to_contain_text("file_not_found")
    await expect(page.get_by_test_id("job")).to_have_count(3)
    await page.get_by_test_id("job").first.click()
    job_id = str(await page.get_by_test_id("job-id").inner_text()).strip()
    await expect(page).to_have_url(f"{server.base_url}/jobs?tab=dead&queue=default&job={job_id}")
    await expect(page.get_by_test_id("job-history").locator("li[data-kind=failed]")).to_be_visible()

    # What is no JSON is refused while it is typed; the change is shown, and replayed with.
    await page.get_by_test_id("job-edit").click()
    text = page.get_by_test_id("payload-text")
    await text.fill("{")
    await expect(page.get_by_test_id("payload-editor").get_by_role("alert")).to_contain_text("Not valid JSON")
    await expect(page.get_by_test_id("payload-act")).to_be_disabled()
    await text.fill(json.dumps(start_of(kept)))
    await expect(page.get_by_test_id("payload-diff").get_by_role("listitem")).to_have_count(1)
    await expect(page.get_by_test_id("payload-diff")).to_contain_text("file_id")
    await page.get_by_test_id("payload-act").click()
    sheet = page.get_by_test_id("job-sheet")
    await expect(sheet.get_by_test_id("job-status")).to_have_text("Succeeded", timeout=SOON_MS)
    detail = server.get(f"/api/v1/admin/jobs/{job_id}", token)
    assert detail["payload"]["file_id"] == kept
    assert [line["kind"] for line in detail["events"]].count("replayed") == 1
    await expect(sheet.get_by_test_id("job-task")).to_contain_text(detail["checkpoint"]["task_id"])
    await page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)

    # The others are given up, after being told what that means.
    await expect(page.get_by_test_id("job")).to_have_count(2)
    await page.get_by_test_id("discard-all").click()
    await expect(page.get_by_test_id("batch-count")).to_contain_text("2 jobs")
    assert server.get("/api/v1/admin/jobs?status=failed", token)["items"] != []
    await page.get_by_test_id("batch-confirm").click()
    await expect(page.get_by_test_id("job")).to_have_count(0)
    assert len(server.get("/api/v1/admin/jobs?status=cancelled", token)["items"]) == 2


async def test_jobs_wait_while_their_queue_is_paused(page: Page, server: Server, simulator: Simulator) -> None:
    token = server.sign_in()
    add_channel(server, simulator, token)
    await sign_in(page, server)
    file_id = await uploaded(page, server)
    await page.get_by_test_id("nav-jobs").click()
    await page.get_by_test_id("queue-pause").click()
    await expect(page.get_by_test_id("confirm")).to_contain_text("No worker starts any more of its jobs")
    await page.get_by_test_id("confirm-yes").click()
    await expect(page.get_by_test_id("queue-state")).to_have_text("Paused")

    # The queue fills before one's eyes.
    for _ in range(4):
        server.post("/api/start", start_of(file_id), token)
    await expect(page.get_by_test_id("queue-waiting")).to_have_text("4", timeout=SOON_MS)
    await expect(page.get_by_test_id("queue-running")).to_have_text("0")
    await page.get_by_test_id("queue-waiting").get_by_role("link").click()
    rows = page.get_by_test_id("job")
    await expect(rows).to_have_count(4)
    await expect(page.locator("[data-testid=job][data-status=queued]")).to_have_count(4)

    # One is given up from the keyboard, the others run as soon as the queue is open again.
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.get_by_test_id("job-cancel").click()
    await page.get_by_test_id("confirm-yes").click()
    await expect(page.get_by_test_id("job-sheet").get_by_test_id("job-status")).to_have_text("Cancelled")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("jobs-tab-overview").click()
    await page.get_by_test_id("queue-resume").click()
    await page.get_by_test_id("confirm-yes").click()
    await expect(page.get_by_test_id("queue-state")).to_have_text("Open")
    await expect(page.get_by_test_id("queue-waiting")).to_have_text("0", timeout=SOON_MS)
    await expect(page.get_by_test_id("queue-running")).to_have_text("0", timeout=SOON_MS)
    runs = server.get("/api/v1/admin/jobs?type=datagen.run", token)["items"]
    assert sorted(run["status"] for run in runs) == ["cancelled", "succeeded", "succeeded", "succeeded"]


async def test_a_scheduled_task_runs(page: Page, server: Server, simulator: Simulator) -> None:
    token = server.sign_in()
    add_channel(server, simulator, token)
    await sign_in(page, server)
    file_id = await uploaded(page, server)
    await page.get_by_test_id("nav-schedules").click()
    await expect(page.get_by_test_id("schedule-add").first).to_be_visible()
    await page.keyboard.press("n")
    await page.get_by_test_id("schedule-name").fill("nightly rows")
    firings = page.get_by_test_id("schedule-firings").get_by_role("listitem")
    await expect(firings).to_have_count(5)
    await page.get_by_test_id("schedule-cron").fill("61 * * * *")
    await expect(page.get_by_role("alert")).to_contain_text("cron expression")
    await page.get_by_test_id("schedule-zone").fill("Asia/Shanghai")
    await page.get_by_test_id("schedule-preset").select_option("workdays")
    await expect(firings).to_have_count(5)
    await expect(firings.first).to_contain_text("09:00")
    await page.get_by_test_id("schedule-save").click()
    await expect(page.get_by_text("Choose a sample file.")).to_be_visible()
    await page.get_by_test_id("start-file").select_option(str(file_id))
    await page.get_by_test_id("start-type").select_option("text_classification")
    for field, value in (("rounds", "1"), ("variants", "1"), ("limit", "1")):
        await page.get_by_test_id(f"start-{field}").fill(value)
    await page.get_by_test_id("schedule-save").click()
    row = page.get_by_test_id("schedule").filter(has_text="nightly rows")
    await expect(row.get_by_test_id("schedule-next")).to_contain_text("09:00")
    kept = server.get("/api/v1/schedules", token)["items"][0]
    assert (kept["cron"], kept["timezone"], kept["misfire"]) == ("0 9 * * 1-5", "Asia/Shanghai", "once")

    # Run once by hand: its job has started the task, which ends.
    await row.get_by_test_id("schedule-menu").click()
    await page.get_by_test_id("schedule-run").click()
    await page.get_by_test_id("confirm-yes").click()
    await row.get_by_test_id("job-link").click()
    sheet = page.get_by_test_id("job-sheet")
    await expect(sheet.get_by_test_id("job-status")).to_have_text("Succeeded", timeout=SOON_MS)
    await sheet.get_by_test_id("job-task").click()
    await expect(page.get_by_test_id("task-status")).to_have_text("Finished", timeout=SOON_MS)
    await page.get_by_test_id("task-jobs").click()
    await expect(page.get_by_test_id("job").first).to_have_attribute("data-status", "succeeded")

    # Deleted, and taken back.
    await page.get_by_test_id("nav-schedules").click()
    await row.get_by_test_id("schedule-menu").click()
    await page.get_by_test_id("schedule-delete").click()
    await page.get_by_test_id("confirm-yes").click()
    await expect(row).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(row).to_be_visible()


async def test_a_task_is_scheduled_once(page: Page, server: Server, simulator: Simulator) -> None:
    token = server.sign_in()
    add_channel(server, simulator, token)
    await sign_in(page, server)
    file_id = await uploaded(page, server)
    await page.get_by_test_id("nav-schedules").click()
    await page.get_by_test_id("schedule-add").first.click()
    await page.get_by_test_id("schedule-name").fill("just once")
    await page.get_by_test_id("schedule-mode-once").check()
    await page.get_by_test_id("schedule-zone").fill("UTC")
    await page.get_by_test_id("schedule-as-json").check()
    await page.get_by_test_id("schedule-json").fill(json.dumps(start_of(file_id)))
    moment = datetime.now(UTC) + timedelta(seconds=4)
    await page.get_by_test_id("schedule-moment").fill(f"{moment:%Y-%m-%dT%H:%M:%S}")
    await page.get_by_test_id("schedule-save").click()
    once = page.get_by_test_id("schedule").filter(has_text="just once")
    await once.get_by_test_id("job-link").click(timeout=SOON_MS)
    await expect(page.get_by_test_id("job-sheet").get_by_test_id("job-status")).to_have_text(
        "Succeeded", timeout=SOON_MS
    )
    await page.keyboard.press("Escape")
    await page.get_by_test_id("nav-schedules").click()
    await expect(once).to_contain_text("Over")
    assert len(server.get("/api/v1/jobs?type=datagen.start", token)["items"]) == 1
