"""Ownership of background work: every task has a name and somebody who waits for it."""

from tidemill.platform.tasks.owner import TaskOwner, apart, steadily

__all__ = ["TaskOwner", "apart", "steadily"]
