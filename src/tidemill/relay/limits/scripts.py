"""What runs inside Redis or Valkey: one script lets a call in, one changes it afterwards, one renews its leases.

Three keys hold what is counted for a name: ``:w`` the calls of the last minute (sorted by moment), ``:t`` their tokens
(a hash, with the sum beside them), ``:l`` the calls under way (sorted by the end of their lease). Times are the
server's, in microseconds; ``ARGV`` begins with what the clock of this process is moved by (nothing outside tests).
Expiry is set together on ``:w`` and ``:t``, so that neither outlives the other.
"""

from hashlib import sha1

from msgspec import Struct


class Script(Struct, frozen=True):
    """A script, and the name by which a server that saw it knows it."""

    text: str
    digest: str

    @classmethod
    def of(cls, text: str) -> "Script":
        """Name a script as servers do."""
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_NOW = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2]) + tonumber(ARGV[1])
"""

# ARGV: shift, id ('' only looks), tokens, lease; then rpm, tpm and concurrent of each name, -1 for no limit.
# Answers: {let in, now, name's place, kind of limit, wait (-1: never), then calls, tokens, in flight and the moment of
# the latest call of each name}. Chunks of 500: Lua's stack holds no more than 8000 arguments.
CLAIM = Script.of(
    _NOW
    + """
local id, tokens, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local MINUTE = 60000000
local worst_place, worst_kind, worst_wait = 0, 0, 0
local answer = {1, now, 0, 0, 0}

local function refuse(place, kind, wait)
  if worst_wait == -1 or (wait ~= -1 and wait <= worst_wait) then return end
  worst_place, worst_kind, worst_wait = place, kind, wait
end

local function slide(w, t)
  local gone = redis.call('ZRANGEBYSCORE', w, '-inf', now - MINUTE)
  if #gone == 0 then return end
  local sum = 0
  for from = 1, #gone, 500 do
    local to = math.min(from + 499, #gone)
    for _, used in ipairs(redis.call('HMGET', t, unpack(gone, from, to))) do sum = sum + (tonumber(used) or 0) end
    redis.call('HDEL', t, unpack(gone, from, to))
  end
  redis.call('ZREMRANGEBYSCORE', w, '-inf', now - MINUTE)
  if sum > 0 then redis.call('HINCRBY', t, 'sum', -sum) end -- minus nothing would be '-0', which is no integer
end

local function tokens_fit(w, t, excess)
  for from = 0, redis.call('ZCARD', w) - 1, 100 do
    local rows = redis.call('ZRANGE', w, from, from + 99, 'WITHSCORES')
    local names = {}
    for place = 1, #rows, 2 do names[#names + 1] = rows[place] end
    for place, used in ipairs(redis.call('HMGET', t, unpack(names))) do
      excess = excess - (tonumber(used) or 0)
      if excess <= 0 then return tonumber(rows[2 * place]) + MINUTE - now end
    end
  end
  return 1
end

for place = 1, #KEYS / 3 do
  local w, t, l = KEYS[3 * place - 2], KEYS[3 * place - 1], KEYS[3 * place]
  local rpm, tpm, most = tonumber(ARGV[3 * place + 2]), tonumber(ARGV[3 * place + 3]), tonumber(ARGV[3 * place + 4])
  local calls, used, latest = 0, 0, 0
  if rpm >= 0 or tpm >= 0 then
    slide(w, t)
    calls, used = redis.call('ZCARD', w), tonumber(redis.call('HGET', t, 'sum') or 0)
    if rpm == 0 then
      refuse(place, 1, -1)
    elseif rpm > 0 and calls >= rpm then
      refuse(place, 1, tonumber(redis.call('ZRANGE', w, calls - rpm, calls - rpm, 'WITHSCORES')[2]) + MINUTE - now)
    end
    if tpm >= 0 and tokens > tpm then
      refuse(place, 2, -1)
    elseif tpm >= 0 and used + tokens > tpm then
      refuse(place, 2, tokens_fit(w, t, used + tokens - tpm))
    end
    if calls > 0 then latest = tonumber(redis.call('ZRANGE', w, -1, -1, 'WITHSCORES')[2]) end
  end
  redis.call('ZREMRANGEBYSCORE', l, '-inf', now)
  local flying = redis.call('ZCARD', l)
  if most == 0 then
    refuse(place, 3, -1)
  elseif most > 0 and flying >= most then
    refuse(place, 3, 1000000)
  end
  for _, figure in ipairs({calls, used, flying, latest}) do answer[#answer + 1] = figure end
end

if worst_place > 0 then
  answer[1], answer[3], answer[4], answer[5] = 0, worst_place, worst_kind, worst_wait
  return answer
end
if id == '' then return answer end

for place = 1, #KEYS / 3 do
  local w, t, l = KEYS[3 * place - 2], KEYS[3 * place - 1], KEYS[3 * place]
  if tonumber(ARGV[3 * place + 2]) >= 0 or tonumber(ARGV[3 * place + 3]) >= 0 then
    redis.call('ZADD', w, string.format('%.0f', now), id)
    redis.call('HSET', t, id, tokens)
    redis.call('HINCRBY', t, 'sum', tokens)
    redis.call('PEXPIRE', w, 61000)
    redis.call('PEXPIRE', t, 61000)
    answer[4 * place + 2], answer[4 * place + 3] = answer[4 * place + 2] + 1, answer[4 * place + 3] + tokens
    answer[4 * place + 5] = now
  end
  redis.call('ZADD', l, string.format('%.0f', now + lease), id)
  redis.call('PEXPIRE', l, math.floor(lease / 1000) + 1000)
  answer[4 * place + 4] = answer[4 * place + 4] + 1
end
return answer
"""
)

# ARGV: id, what became of the call (correct, release or undo), tokens.
CHANGE = Script.of("""
local id, what, tokens = ARGV[1], ARGV[2], tonumber(ARGV[3])
for place = 1, #KEYS, 3 do
  local w, t, l = KEYS[place], KEYS[place + 1], KEYS[place + 2]
  local was = what ~= 'release' and redis.call('HGET', t, id)
  if what == 'correct' then
    if was then
      redis.call('HSET', t, id, tokens)
      redis.call('HINCRBY', t, 'sum', tokens - tonumber(was))
    end
  else
    redis.call('ZREM', l, id)
    if what == 'undo' and was then
      redis.call('ZREM', w, id)
      redis.call('HDEL', t, id)
      if tonumber(was) > 0 then redis.call('HINCRBY', t, 'sum', -tonumber(was)) end
    end
  end
end
return 1
""")

# ARGV: shift, lease, then the ids of calls under way for the one name.
RENEW = Script.of(
    _NOW
    + """
local till = string.format('%.0f', now + tonumber(ARGV[2]))
for place = 3, #ARGV do redis.call('ZADD', KEYS[1], till, ARGV[place]) end
redis.call('PEXPIRE', KEYS[1], math.floor(tonumber(ARGV[2]) / 1000) + 1000)
return 1
"""
)

ALL = (CLAIM, CHANGE, RENEW)
