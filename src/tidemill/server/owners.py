"""Who the owner of something that runs later is by then."""

from tidemill.identity.errors import UserNotFound
from tidemill.identity.facade import UserAdministration
from tidemill.kernel.actor import Actor, SystemReason, SystemScope

_SCOPE = SystemScope(SystemReason.JOBS)


class OwnersNow:
    """Port ``Owners`` of operations and datagen, read from identity at each question."""

    def __init__(self, users: UserAdministration) -> None:
        self._users = users

    async def actor(self, user_id: int) -> Actor | None:
        """Return the user with all rights of a session, None when there is none or it is disabled."""
        try:
            user = await self._users.get(_SCOPE, user_id)
        except UserNotFound:
            return None
        if not user.is_active:
            return None
        return Actor(user_id=user.id, username=user.username, is_admin=user.is_admin, via="session", group=user.group)
