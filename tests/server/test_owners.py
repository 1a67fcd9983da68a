"""Whoever scheduled something is looked up anew when it is due."""

from pathlib import Path

from tidemill.identity.admin_service import UserChange
from tidemill.identity.facade import Identity, NewUser
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database
from tidemill.platform.secrets import SecretBox, load_keyring
from tidemill.platform.settings.groups.auth import AuthSettings
from tidemill.server.owners import OwnersNow

ALL = SystemScope(SystemReason.COMMAND_LINE)


async def test_an_owner_is_who_it_is_now(memory_database: Database, tmp_path: Path) -> None:
    keyring = load_keyring(tmp_path / "secrets")
    identity = Identity(
        memory_database, auth=AuthSettings(), data_dir=tmp_path, keyring=keyring, box=SecretBox(keyring)
    )
    users = identity.administration
    await users.create(ALL, NewUser("root", "correct horse 9", is_admin=True), None)
    ann = await users.create(ALL, NewUser("ann", "correct horse 9"), None)
    owners = OwnersNow(users)
    actor = await owners.actor(ann.id)
    assert actor is not None
    assert (actor.user_id, actor.username, actor.is_admin, actor.models) == (ann.id, "ann", False, None)
    await users.change(ALL, ann.id, UserChange(role="admin", group="lab"), None)
    actor = await owners.actor(ann.id)
    assert actor is not None
    assert (actor.is_admin, actor.group) == (True, "lab")
    await users.change(ALL, ann.id, UserChange(is_active=False), None)
    assert await owners.actor(ann.id) is None
    assert await owners.actor(ann.id + 1) is None
