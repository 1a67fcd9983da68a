"""The names of everything kept in Redis, and the steps that must happen whole or not at all.

``<prefix>:q:<queue>``      stream of tickets that wait or are being looked at; an acknowledged one is deleted
``<prefix>:delay:<queue>``  sorted set of tickets by the moment they are due, in ms of the server's clock
``<prefix>:queues``         set of the names of queues that have ever had a ticket
``<prefix>:dead``           stream of markers of dead jobs

The names are put together inside scripts too, so this needs one server (or one primary with replicas), not a cluster.
Needs Redis 6.2 (XAUTOCLAIM, MINID, exclusive ranges) or any Valkey.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from tidemill.platform.jobs.transport import Ticket
from tidemill.platform.redis import Word

GROUP = "w"
# Tickets of one queue that are kept, waiting and delayed each. Nothing is dropped past it: publishing is refused, and
# the relay tries again. Twice the longest queue that the database allows by default.
MAX_TICKETS = 200_000
MOVE_AT_ONCE = 500

_PUBLISH = """
redis.call('SADD', KEYS[2], ARGV[1])
local room = tonumber(ARGV[2]) - redis.call('XLEN', KEYS[1])
local kept = math.max(0, math.min(room, #ARGV - 2))
for i = 3, kept + 2 do redis.call('XADD', KEYS[1], '*', 't', ARGV[i]) end
return kept
"""

_DELAY = """
redis.call('SADD', KEYS[2], ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local room = tonumber(ARGV[2]) - redis.call('ZCARD', KEYS[1])
local kept = math.max(0, math.min(room, (#ARGV - 2) / 2))
for i = 1, kept do redis.call('ZADD', KEYS[1], now + ARGV[2 * i + 1], ARGV[2 * i + 2]) end
return kept
"""

# Whatever is due goes from the sorted set into the stream, once, however many processes ask at the same time.
_MOVE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local moved = 0
for _, queue in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local waiting = ARGV[1] .. ':delay:' .. queue
  local due = redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, ARGV[2])
  for _, ticket in ipairs(due) do
    redis.call('XADD', ARGV[1] .. ':q:' .. queue, '*', 't', ticket)
    redis.call('ZREM', waiting, ticket)
  end
  moved = moved + #due
end
return moved
"""

# A consumer that leaves hands back what it holds as new tickets, then is gone. (Streams know no "not acknowledged";
# removing a consumer that still holds something would leave its tickets with nobody.)
_LEAVE = """
local back = 0
while true do
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 500, ARGV[2])
  if #held == 0 then break end
  for _, one in ipairs(held) do
    local entry = redis.call('XRANGE', KEYS[1], one[1], one[1])[1]
    if entry then
      redis.call('XADD', KEYS[1], '*', unpack(entry[2]))
      redis.call('XDEL', KEYS[1], one[1])
      back = back + 1
    end
    redis.call('XACK', KEYS[1], ARGV[1], one[1])
  end
end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return back
"""

# Consumers that hold nothing and have not asked for long belonged to processes that are gone.
_FORGET = """
local gone = 0
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local of = {}
  for i = 1, #facts, 2 do of[facts[i]] = facts[i + 1] end
  if of['pending'] == 0 and of['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of['name'])
    gone = gone + 1
  end
end
return gone
"""


class Names(Struct, frozen=True):
    """What is called how, under one prefix."""

    prefix: str

    @property
    def queues(self) -> str:
        """The set of known queues."""
        return f"{self.prefix}:queues"

    @property
    def dead(self) -> str:
        """The stream of dead markers."""
        return f"{self.prefix}:dead"

    def stream(self, queue: str) -> str:
        """Name the stream of a queue."""
        return f"{self.prefix}:q:{queue}"

    def delayed(self, queue: str) -> str:
        """Name the sorted set of a queue's delayed tickets."""
        return f"{self.prefix}:delay:{queue}"

    def publish(self, queue: str, tickets: Iterable[Ticket], max_tickets: int) -> Sequence[Word]:
        """Add tickets to a queue; answers how many of them, from the first on, there was room for."""
        names = [ticket.name for ticket in tickets]
        return "EVAL", _PUBLISH, 2, self.stream(queue), self.queues, queue, max_tickets, *names

    def delay(self, queue: str, tickets: Iterable[Ticket], max_tickets: int) -> Sequence[Word]:
        """Hold tickets of a queue back for their ``delay_s``; answers how many there was room for."""
        pairs = [word for ticket in tickets for word in (max(1, round(ticket.delay_s * 1000)), ticket.name)]
        return "EVAL", _DELAY, 2, self.delayed(queue), self.queues, queue, max_tickets, *pairs

    def move(self) -> Sequence[Word]:
        """Move at most 500 due tickets of each queue into its stream; answers how many."""
        return "EVAL", _MOVE, 1, self.queues, self.prefix, MOVE_AT_ONCE

    def make_group(self, queue: str) -> Sequence[Word]:
        """Make the group, which begins with the first ticket that is there; refused (BUSYGROUP) when it exists."""
        return "XGROUP", "CREATE", self.stream(queue), GROUP, "0", "MKSTREAM"

    def read(self, queue: str, consumer: str, count: int, block_ms: int) -> Sequence[Word]:
        """Receive tickets that nobody has received, waiting for the first at most ``block_ms``."""
        begin = ("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "BLOCK", block_ms)
        return *begin, "STREAMS", self.stream(queue), ">"

    def read_held(self, queue: str, consumer: str, count: int) -> Sequence[Word]:
        """Receive again what ``consumer`` has received and not acknowledged."""
        return "XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "STREAMS", self.stream(queue), "0"

    def acknowledge(self, queue: str, entries: Sequence[bytes]) -> Sequence[Sequence[Word]]:
        """Acknowledge and delete: an acknowledged entry would stay in the stream for ever."""
        stream = self.stream(queue)
        return ("XACK", stream, GROUP, *entries), ("XDEL", stream, *entries)

    def take_over(self, queue: str, consumer: str, min_idle_ms: int, cursor: bytes) -> Sequence[Word]:
        """Give ``consumer`` what others have held for too long; answers the next cursor and what it got."""
        stream = self.stream(queue)
        return "XAUTOCLAIM", stream, GROUP, consumer, min_idle_ms, cursor, "COUNT", 100, "JUSTID"

    def leave(self, queue: str, consumer: str) -> Sequence[Word]:
        """Hand back what ``consumer`` holds and remove it; answers how many tickets went back."""
        return "EVAL", _LEAVE, 1, self.stream(queue), GROUP, consumer

    def forget(self, queue: str, idle_ms: int) -> Sequence[Word]:
        """Remove consumers that hold nothing and have been silent for ``idle_ms``; answers how many."""
        return "EVAL", _FORGET, 1, self.stream(queue), GROUP, idle_ms
