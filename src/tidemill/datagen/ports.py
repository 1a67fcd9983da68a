"""What generation needs from others, as small as it can be said; joined in wiring and in the command line."""

from collections.abc import Sequence
from typing import Any, Protocol

from tidemill.datagen.samples.contracts import FileFacts
from tidemill.kernel.actor import Actor, Scope
from tidemill.platform.db import Reader
from tidemill.relay.contracts import Call, Completion, ModelView, ServiceView


class ModelCalls(Protocol):
    """The relay's door, as far as generation goes through it."""

    async def complete(self, call: Call) -> Completion:
        """Make one call and wait for the whole answer; raises the errors of ``relay.errors``."""
        ...

    def services(self, model: str) -> Sequence[ServiceView]:
        """Return the services that carry ``model`` now; empty for an unknown one."""
        ...

    def models(self) -> Sequence[ModelView]:
        """Return the models that can be called now."""
        ...


class Samples(Protocol):
    """Where sample rows come from: the sample files, or one file on disk."""

    async def facts(self, r: Reader, scope: Scope, file_id: int, *, hold: bool = False) -> FileFacts:
        """Return what there is; ``hold`` keeps it so until the caller's transaction ends.

        Raises FileNotFound for an unknown or foreign file.
        """
        ...

    async def rows(self, scope: Scope, file_id: int, version: int, start: int, count: int) -> list[dict[str, Any]]:
        """Return up to ``count`` rows from position ``start`` of that version."""
        ...


class Owners(Protocol):
    """Who a user is now."""

    async def actor(self, user_id: int) -> Actor | None:
        """Return the user with all rights of a session, None when there is none or it is disabled."""
        ...
