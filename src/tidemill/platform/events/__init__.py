"""The event bus: tells watchers that something new is to be read; what it is stands in the database."""

from tidemill.platform.events.engines import open_events
from tidemill.platform.events.memory import MemoryEvents
from tidemill.platform.events.port import Event, EventBus, Subscription

__all__ = ["Event", "EventBus", "MemoryEvents", "Subscription", "open_events"]
