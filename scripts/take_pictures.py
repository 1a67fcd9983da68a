"""Take a picture of every page of a running console: Chinese in the dark, English in the light.

    .venv/bin/python scripts/take_pictures.py --url http://127.0.0.1:8080 --password …

Writes docs/pictures/<page>-<zh|en>.png. The server should have something to show: a channel, a sample file, a task.
"""

import argparse
import asyncio
import shutil
from pathlib import Path

from playwright.async_api import BrowserContext, Page, async_playwright

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
LOOKS = (("zh-CN", "dark"), ("en-US", "light"))
PAGES = {
    "dashboard": "/",
    "samples": "/samples",
    "tasks": "/tasks",
    "new-task": "/tasks/new",
    "review": "/review",
    "reports": "/reports",
    "channels": "/channels",
    "routing": "/channels?tab=routing",
    "calls": "/calls",
    "local-models": "/local-models",
    "keys": "/keys",
    "schedules": "/schedules",
    "alerts": "/alerts",
    "jobs": "/jobs",
    "dead-letters": "/jobs?tab=dead",
}
# A detail page is the first link of its list that leads below it.
DETAILS = {"sample-file": "/samples", "task": "/tasks", "report": "/reports"}
SETTLED_MS = 1_500
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


async def shoot(page: Page, name: str, lang: str) -> None:
    """Save one picture once the page has come to rest."""
    await page.wait_for_timeout(SETTLED_MS)
    await page.screenshot(path=FOLDER / f"{name}-{lang[:2]}.png")


async def walk(context: BrowserContext, url: str, username: str, password: str, lang: str) -> None:
    """Visit every page as one person."""
    page = await context.new_page()
    await page.goto(url)
    await shoot(page, "sign-in", lang)
    await page.goto(f"{url}/register")
    await shoot(page, "register", lang)
    answer = await page.request.post(
        f"{url}/api/v1/auth/login", data={"username": username, "password": password}, headers={"X-Tidemill": "1"}
    )
    if not answer.ok:
        raise SystemExit(f"could not sign in as {username}: {answer.status}")
    for name, path in PAGES.items():
        await page.goto(url + path)
        await shoot(page, name, lang)
    for name, path in DETAILS.items():
        await page.goto(url + path)
        link = page.locator(f"main a[href^='{path}/']:not([href$='/new'])").first
        await link.click()
        await shoot(page, name, lang)


async def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password", required=True)
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for lang, scheme in LOOKS:
            context = await browser.new_context(
                locale=lang,
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": 1440, "height": 900},
            )
            await walk(context, given.url, given.username, given.password, lang)
            await context.close()
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
