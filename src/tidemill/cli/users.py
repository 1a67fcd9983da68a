"""``tidemill users``: accounts, from the machine itself."""

import secrets
import sys

import click

from tidemill.cli.output import command_options, fail, print_json, print_table, run
from tidemill.identity.contracts import UserView
from tidemill.identity.facade import NewUser, UserSearch
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.pages import MAX_PAGE_SIZE, PageRequest
from tidemill.platform.settings import Loaded, Settings
from tidemill.server.wiring import open_runtime

_SCOPE = SystemScope(SystemReason.COMMAND_LINE)


@click.group("users")
def command() -> None:
    """Make and list users, or set a password."""


@command.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@click.option("--email", help="Email address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@command_options
def create(name: str, email: str | None, loaded: Loaded, *, admin: bool, password_stdin: bool, as_json: bool) -> None:
    """Make the user NAME.

    Without --password-stdin the password is asked for; where nobody can be asked, a random one is made and printed.
    """
    password, generated = _password(from_stdin=password_stdin)
    user = run(_create(loaded.settings, NewUser(name, password, email, is_admin=admin)))
    if as_json:
        print_json(_shown(user) | ({"password": password} if generated else {}))
        return
    click.echo(f"user {user.username} made (id {user.id})" + (f" password: {password}" if generated else ""))


async def _create(settings: Settings, new: NewUser) -> UserView:
    async with open_runtime(settings) as runtime:
        return await runtime.identity.administration.create(_SCOPE, new, None)


@command.command("list")
@command_options
def list_users(loaded: Loaded, *, as_json: bool) -> None:
    """List every user."""
    found = run(_all(loaded.settings))
    if as_json:
        print_json([_shown(user) for user in found])
        return
    print_table(
        ("ID", "NAME", "EMAIL", "ROLE", "ACTIVE", "GROUP", "CREATED"),
        [
            (
                user.id,
                user.username,
                user.email,
                user.role,
                "yes" if user.is_active else "no",
                user.group,
                f"{user.created_at:%Y-%m-%d}",
            )
            for user in found
        ],
    )


async def _all(settings: Settings) -> list[UserView]:
    found: list[UserView] = []
    async with open_runtime(settings) as runtime:
        cursor: str | None = None
        while True:
            request = PageRequest.checked(page_size=MAX_PAGE_SIZE, cursor=cursor)
            page = await runtime.identity.administration.page(_SCOPE, UserSearch(), request)
            found.extend(page.items)
            if page.next is None:
                return found
            cursor = page.next


@command.command("passwd")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--reset-token", is_flag=True, help="Print a token for /api/v1/auth/reset instead (30 minutes, once).")
@command_options
def passwd(name: str, loaded: Loaded, *, password_stdin: bool, reset_token: bool, as_json: bool) -> None:
    """Set the password of NAME and end its sessions."""
    if reset_token:
        if password_stdin:
            raise click.UsageError("--reset-token and --password-stdin exclude each other")
        token = run(_reset_token(loaded.settings, name))
        if as_json:
            print_json({"username": name, "reset_token": token})
        else:
            click.echo(token)
        return
    password, generated = _password(from_stdin=password_stdin)
    user = run(_set_password(loaded.settings, name, password))
    if as_json:
        print_json(_shown(user) | ({"password": password} if generated else {}))
        return
    click.echo(f"password of {user.username} set" + (f": {password}" if generated else ""))


async def _set_password(settings: Settings, name: str, password: str) -> UserView:
    async with open_runtime(settings) as runtime:
        user = await runtime.identity.administration.named(_SCOPE, name)
        await runtime.identity.administration.set_password(_SCOPE, user.id, password, None)
        return user


async def _reset_token(settings: Settings, name: str) -> str:
    async with open_runtime(settings) as runtime:
        user = await runtime.identity.administration.named(_SCOPE, name)
        return await runtime.identity.administration.reset_token(_SCOPE, user.id, None)


def _password(*, from_stdin: bool) -> tuple[str, bool]:
    """Return the password, and whether it was made up here."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            fail("No password on standard input; write it there on one line.")
        return password, False
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True), False
    return secrets.token_urlsafe(15), True


def _shown(user: UserView) -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "is_active": user.is_active,
        "is_admin": user.is_admin,
        "role": user.role,
        "group": user.group,
        "created_at": user.created_at,
    }
