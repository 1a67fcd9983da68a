"""Receives the tickets of one queue: in handfuls, acknowledged once the database has been looked at.

A ``Reception`` lives on one channel of one link, from when the server is asked for tickets until it is stopped or the
link is lost. Tickets by callback, one channel for each queue: a queue's trouble stays its own.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from tidemill.platform.jobs.rabbitmq import letters
from tidemill.platform.jobs.rabbitmq.answers import answer
from tidemill.platform.jobs.rabbitmq.errors import BrokerAway
from tidemill.platform.jobs.rabbitmq.link import CALL_S, Link
from tidemill.platform.jobs.transport import Ticket, Wake
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

log = get_logger(__name__)

LONGEST_PAUSE_S = 30.0
