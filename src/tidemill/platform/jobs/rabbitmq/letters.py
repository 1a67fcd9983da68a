"""What a message holds: the ticket, and nothing that the row does not know better."""

import msgspec

from tidemill.platform.jobs.transport import Ticket


class _Body(msgspec.Struct, frozen=True):
    job_id: str
    epoch: int
    queue: str


_decoder = msgspec.json.Decoder(_Body)


def encode(ticket: Ticket) -> bytes:
    """Return the body of a message."""
    return msgspec.json.encode(_Body(ticket.job_id, ticket.epoch, ticket.queue))


def decode(body: bytes) -> Ticket | None:
    """Return the ticket in a body; None when somebody else wrote it."""
    try:
        read = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Ticket(read.job_id, read.epoch, read.queue)
