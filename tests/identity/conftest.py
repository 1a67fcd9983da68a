"""Identity on a fresh database, alone and behind the real edge."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from tidemill.audit.contracts import Origin, current_origin
from tidemill.audit.routes import HANDLERS as AUDIT
from tidemill.identity.contracts import UserView
from tidemill.identity.facade import AuthFailure, Identity, Neighbours, NewUser, Refused
from tidemill.identity.routes import HANDLERS as IDENTITY
from tidemill.kernel.actor import Actor, SystemReason, SystemScope
from tidemill.platform.db import Database
from tidemill.platform.secrets import Keyring, SecretBox, load_keyring
from tidemill.platform.settings import Settings
from tidemill.platform.settings.groups.auth import AuthSettings
from tidemill.platform.web.guards import ACTOR, REFUSAL
from tidemill.server.api import build_api

ALL = SystemScope(SystemReason.COMMAND_LINE)
PASSWORD = "correct horse 9"

Builder = Callable[..., Identity]
Client = httpx.AsyncClient


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return load_keyring(tmp_path / "secrets")


@pytest.fixture
def build(database: Database, keyring: Keyring, tmp_path: Path) -> Builder:
    """Give a builder: each call is one more process on the same database and data directory."""

    def make(auth: AuthSettings | None = None, neighbours: Neighbours | None = None) -> Identity:
        return Identity(
            database,
            auth=auth or AuthSettings(),
            data_dir=tmp_path,
            keyring=keyring,
            box=SecretBox(keyring),
            neighbours=neighbours,
        )

    return make


@pytest.fixture
async def identity(build: Builder) -> Identity:
    made = build()
    await made.load()
    return made


async def add(identity: Identity, name: str, *, is_admin: bool = False) -> UserView:
    return await identity.administration.create(ALL, NewUser(name, PASSWORD, is_admin=is_admin), None)


@pytest.fixture
async def alice(identity: Identity) -> UserView:
    return await add(identity, "alice")


@pytest.fixture
async def root(identity: Identity) -> UserView:
    return await add(identity, "root", is_admin=True)


def caller(identity: Identity, token: str, **options: Any) -> Actor | AuthFailure:
    """Identify a bearer of ``token``."""
    return identity.authenticator.identify(
        [(b"authorization", f"Bearer {token}".encode())], b"", "127.0.0.1", **options
    )


async def session(identity: Identity, name: str, password: str = PASSWORD) -> Actor:
    """Sign in and return the actor."""
    opened = await identity.users.sign_in(name, password)
    found = caller(identity, opened.token)
    assert isinstance(found, Actor)
    return found


def application(identity: Identity) -> Litestar:
    """Return identity's routes with the services they name."""
    services: dict[str, Callable[[], Any]] = {
        "identity": lambda: identity.users,
        "user_administration": lambda: identity.administration,
        "keys": lambda: identity.keys,
        "audit": lambda: identity.audit,
    }
    return build_api([*IDENTITY, *AUDIT], services, Settings())


class Door:
    """Does for the tests what the server's edge does: find the caller before the router runs."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._api = application(identity)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        client = scope["client"][0]
        agent = dict(scope["headers"]).get(b"user-agent", b"").decode()
        current_origin.set(Origin(client, agent, "req-1"))
        found = self._identity.authenticator.identify(
            scope["headers"],
            scope["query_string"],
            client,
            cookie=True,
            write=scope["method"] not in {"GET", "HEAD", "OPTIONS"},
        )
        state = scope.setdefault("state", {})
        if isinstance(found, Actor):
            state[ACTOR] = found
        elif found.reason is not Refused.MISSING:
            state[REFUSAL] = found.error()
        await self._api(scope, receive, send)


@pytest.fixture
async def http(identity: Identity) -> AsyncIterator[Client]:
    """Give a client that keeps no cookies of its own."""
    async with _client(identity) as client:
        yield client


def _client(identity: Identity) -> Client:
    transport = httpx.ASGITransport(Door(identity), client=("10.1.2.3", 5000))
    return httpx.AsyncClient(transport=transport, base_url="http://mill.test")


async def bearer(http: Client, name: str, password: str = PASSWORD) -> dict[str, str]:
    """Sign in over HTTP and return the header to send."""
    answer = await http.post("/api/login", json={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    http.cookies.clear()
    return {"authorization": f"Bearer {answer.json()['data']['access_token']}"}
