"""A channel is added and tested in the browser, a key is made and used by the OpenAI SDK, the use shows."""

from openai import OpenAI
from playwright.async_api import Page, expect

from tests.fixtures.processes import Server, Simulator
from tests.journeys.test_first_generation import sign_in


async def test_a_key_made_in_the_console_works_with_the_sdk(page: Page, server: Server, simulator: Simulator) -> None:
    await sign_in(page, server)
    await page.get_by_test_id("nav-channels").click()
    await page.get_by_test_id("channel-add").first.click()
    await page.get_by_test_id("channel-name").fill("simulated")
    await page.get_by_test_id("channel-url").fill(simulator.base_url)
    await page.get_by_test_id("channel-models").fill("sim-model")
    await page.get_by_test_id("channel-save").click()
    await expect(page.get_by_role("row", name="simulated")).to_be_visible()

    await page.get_by_test_id("nav-keys").click()
    await page.get_by_test_id("key-create").first.click()
    await page.get_by_test_id("key-name").fill("journey")
    await page.get_by_test_id("key-submit").click()
    secret = (await page.get_by_test_id("key-secret").inner_text()).strip()
    assert secret.startswith("sk-tm-")
    await page.get_by_test_id("key-saved").check()
    await page.get_by_test_id("key-done").click()
    await expect(page.get_by_text(secret)).to_have_count(0)

    with OpenAI(base_url=f"{server.base_url}/v1", api_key=secret, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["sim-model"]
        answer = client.chat.completions.create(model="sim-model", messages=[{"role": "user", "content": "hello"}])
        assert answer.choices[0].message.content
        stream = client.chat.completions.create(
            model="sim-model", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    token = server.sign_in()
    totals = {"requests": 0, "errors": 0}
    for _ in range(100):
        totals = server.get("/api/v1/usage", token)["totals"]
        if totals["requests"] == 2:
            break
        await page.wait_for_timeout(100)
    assert totals["requests"] == 2
    assert totals["errors"] == 0
    await page.goto(server.base_url)
    await expect(page.get_by_role("region", name="Calls")).to_contain_text("2")
    await expect(page.get_by_role("link", name="simulated")).to_be_visible()
