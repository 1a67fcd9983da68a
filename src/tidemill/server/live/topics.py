"""What can be watched, and by whom: one's own things; everybody's only by administrators who ask for it."""

from collections.abc import Iterable, Mapping

from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import AdministratorRequired, BadInput, Forbidden

# The scope that a key needs for a topic; None: any credential will do. `admin` is for administrators alone.
TOPICS: Mapping[str, str | None] = {
    "jobs": None,
    "tasks": "datagen",
    "usage": None,
    "notices": None,
    "alerts": "admin",
}


def open_to(actor: Actor) -> frozenset[str]:
    """Return every topic that this caller may watch."""
    return frozenset(topic for topic, scope in TOPICS.items() if scope is None or _may(actor, scope))


def _may(actor: Actor, scope: str) -> bool:
    return actor.may_administer if scope == "admin" else actor.may(scope)


def chosen(actor: Actor, names: Iterable[str] | None, *, everybody: bool) -> frozenset[str]:
    """Return the topics asked for, all that are open when none are named.

    Raises BadInput for an unknown one, Forbidden for one that the key's scopes do not cover, AdministratorRequired
    when everybody's are asked for by somebody else.
    """
    if everybody and not actor.may_administer:
        raise AdministratorRequired
    allowed = open_to(actor)
    if names is None:
        return allowed
    wanted = frozenset(names)
    if unknown := sorted(wanted - TOPICS.keys()):
        raise BadInput.of("topics", f"{', '.join(unknown)[:100]}: must be among {', '.join(TOPICS)}")
    if refused := sorted(wanted - allowed):
        raise Forbidden(f"this key lacks the scope for {', '.join(refused)}")
    return wanted


def named(text: str | None) -> list[str] | None:
    """Split a comma-separated list; None for an absent or empty one."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    return names or None
