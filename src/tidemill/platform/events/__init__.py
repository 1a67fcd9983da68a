"""The event bus: tells watchers that something new is to be read; what it is stands in the database."""

from tidemill.platform.events.memory import MemoryEvents
from tidemill.platform.events.port import EventBus, Subscription

__all__ = ["EventBus", "MemoryEvents", "Subscription"]
