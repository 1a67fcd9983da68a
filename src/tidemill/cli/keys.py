"""``tidemill keys``: API keys, from the machine itself."""

import re
from datetime import datetime, timedelta

import click

from tidemill.cli.output import command_options, print_json, print_table, run
from tidemill.identity.contracts import DEFAULT_KEY_SCOPES, KEY_SCOPES, CreatedKey, KeyView
from tidemill.identity.facade import KeySearch, KeyWish
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.pages import MAX_PAGE_SIZE, PageRequest
from tidemill.platform.settings import Loaded, Settings
from tidemill.server.wiring import open_runtime

_SCOPE = SystemScope(SystemReason.COMMAND_LINE)
_SPAN = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@click.group("keys")
def command() -> None:
    """Make, list or revoke API keys."""


class _Names(click.ParamType[tuple[str, ...]]):
    """A list of names with commas between."""

    name = "a,b"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        del param, ctx
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class _Expiry(click.ParamType[datetime]):
    """A span from now (30d, 12h) or a moment (2027-01-31, 2027-01-31T12:00:00Z)."""

    name = "30d|moment"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        span = _SPAN.fullmatch(value)
        try:
            if span is not None:
                return clock.now() + timedelta(**{_UNITS[span[2]]: int(span[1])})
            return datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a span like 30d nor a moment like 2027-01-31T12:00:00Z", param, ctx)


@command.command("create")
@click.option("--user", "username", required=True, help="Whose key it is.")
@click.option("--name", required=True, help="What it is for.")
@click.option(
    "--scopes", type=_Names(), default=DEFAULT_KEY_SCOPES, help=f"What it may do: {', '.join(KEY_SCOPES)} (relay)."
)
@click.option("--models", type=_Names(), default=None, help="The models it may call (all).")
@click.option("--networks", type=_Names(), default=None, help="The networks it may come from, as CIDR (all).")
@click.option("--expires", type=_Expiry(), default=None, help="When it ends: 30d, 12h, or a moment (never).")
@click.option("--budget", type=str, default=None, help="Credits of its owner's balance it may use (all).")
@command_options
def create(  # noqa: PLR0913 - one argument an option
    username: str,
    name: str,
    scopes: tuple[str, ...],
    models: tuple[str, ...] | None,
    networks: tuple[str, ...] | None,
    expires: datetime | None,
    budget: str | None,
    loaded: Loaded,
    *,
    as_json: bool,
) -> None:
    """Make a key and print it, alone on one line: it is shown only now."""
    wish = KeyWish(
        name=name,
        scopes=list(scopes),
        models=None if models is None else list(models),
        networks=None if networks is None else list(networks),
        expires_at=expires,
        budget=budget,
    )
    made = run(_create(loaded.settings, username, wish))
    if as_json:
        print_json(made)
    else:
        click.echo(made.key)


async def _create(settings: Settings, username: str, wish: KeyWish) -> CreatedKey:
    async with open_runtime(settings) as runtime:
        owner = await runtime.identity.administration.named(_SCOPE, username)
        return CreatedKey.of(await runtime.identity.keys.create(_SCOPE, owner.id, wish, None))


@command.command("list")
@click.option("--user", "username", default=None, help="Only this user's.")
@command_options
def list_keys(username: str | None, loaded: Loaded, *, as_json: bool) -> None:
    """List keys, newest first; what is secret about them is not kept anywhere."""
    found = run(_all(loaded.settings, username))
    if as_json:
        print_json(found)
        return
    print_table(
        ("ID", "OWNER", "NAME", "KEY", "SCOPES", "STATUS", "EXPIRES", "LAST USED"),
        [
            (
                key.id,
                key.user_id,
                key.name,
                f"{key.prefix}…{key.last4}",
                ",".join(key.scopes),
                key.status,
                _day(key.expires_at),
                _day(key.last_used_at),
            )
            for key in found
        ],
    )


async def _all(settings: Settings, username: str | None) -> list[KeyView]:
    found: list[KeyView] = []
    async with open_runtime(settings) as runtime:
        owner = await runtime.identity.administration.named(_SCOPE, username) if username else None
        search = KeySearch(user_id=owner.id if owner else None)
        cursor: str | None = None
        while True:
            request = PageRequest.checked(page_size=MAX_PAGE_SIZE, cursor=cursor)
            page = await runtime.identity.keys.page(_SCOPE, search, request)
            found.extend(page.items)
            if page.next is None:
                return found
            cursor = page.next


@command.command("revoke")
@click.argument("key_id")
@command_options
def revoke(key_id: str, loaded: Loaded, *, as_json: bool) -> None:
    """Make the key KEY_ID worthless for good; a running server refuses it within a second."""
    view = run(_revoke(loaded.settings, key_id))
    if as_json:
        print_json(view)
    else:
        click.echo(f"key {view.name} ({view.prefix}…{view.last4}) revoked")


async def _revoke(settings: Settings, key_id: str) -> KeyView:
    async with open_runtime(settings) as runtime:
        return await runtime.identity.keys.revoke(_SCOPE, key_id, None)


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d}"
