"""Ownership of background work: every task has a name and somebody who waits for it."""

from tidemill.platform.tasks.owner import TaskOwner, steadily

__all__ = ["TaskOwner", "steadily"]
