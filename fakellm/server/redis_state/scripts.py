"""What Redis does in one step, in Lua. Nothing comes between the commands of a script.

Owns how a session is kept: a hash with its serial, which no other has, its version, which every change replaces, its
scenario as JSON if it has its own, and `replaced` if it has replaced another one, of which nothing stays; and a hash
with the number of the last attempt of each count, negative if counts had been dropped before the first.
"""

from __future__ import annotations

from fakellm.server.redis_state.journal_scripts import JOURNALS
from fakellm.server.redis_state.session_start import START

OPEN = (
    START
    + """
start(KEYS[1], KEYS[2], ARGV[1])
return redis.call('HMGET', KEYS[1], 'serial', 'version', 'scenario', 'strict', 'first', 'advanced',
    'fault', 'fault_number', 'fault_left')
"""
)
"""Keys: a session, the counter of serials. Arguments: the seconds that it stays. Returns the session, a new one if
there was none."""

REPLACE = (
    START
    + JOURNALS
    + """
local number = serial(KEYS[2])
forget(string.sub(KEYS[1], #'fakellm:session:' + 1))
redis.call('DEL', KEYS[1], unpack(KEYS, 3))
redis.call('HSET', KEYS[1], 'serial', number, 'version', number, 'replaced', 1)
if ARGV[5] then
    redis.call('HSET', KEYS[1], 'scenario', ARGV[5], 'strict', ARGV[6], 'first', ARGV[7])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return redis.call('PUBSUB', 'CHANNELS', ARGV[4])
"""
)
"""Keys: a session, the counter of serials, and the others of the session. Arguments: seconds, channel, message, the
pattern of the channels of servers, and the scenario, if it gets its own. Returns the channels of the servers that are
there."""

CHANGE = (
    START
    + """
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[8] then
    return false
end
local number = serial(KEYS[2])
redis.call('HSET', KEYS[1], 'version', number, 'scenario', ARGV[5], 'strict', ARGV[6], 'first', ARGV[7])
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return redis.call('PUBSUB', 'CHANNELS', ARGV[4])
"""
)
"""As REPLACE, but the counts stay. The last argument: the version that has been changed. Returns nothing if it is no
longer that one."""

COUNTING = """
local function following(session, counts, key)
    local last = tonumber(redis.call('HGET', counts, key) or '0')
    local forgotten = last < 0 or (last == 0 and redis.call('HEXISTS', session, 'forgotten') == 1)
    return math.abs(last) + 1, forgotten
end

local function count(session, counts, key, number, forgotten, most)
    if number == 1 and redis.call('HLEN', counts) >= most then
        redis.call('HDEL', counts, redis.call('HRANDFIELD', counts))
        redis.call('HSET', session, 'forgotten', 1)
    end
    redis.call('HSET', counts, key, forgotten and -number or number)
end
"""
"""The number of the next attempt, and whether counts had been dropped before the first; and how that is counted."""

COUNT = (
    COUNTING
    + """
if redis.call('HGET', KEYS[1], 'serial') ~= ARGV[2] then
    return false
end
local number, forgotten = following(KEYS[1], KEYS[2], ARGV[3])
count(KEYS[1], KEYS[2], ARGV[3], number, forgotten, tonumber(ARGV[4]))
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return {number, forgotten and 1 or 0}
"""
)
"""Keys: a session, its counts. Arguments: seconds, the session's serial, the count, the most counts. Returns the number
of the attempt, and whether counts had been dropped before the first; nothing if the session has been replaced."""

COUNTED = (
    COUNTING
    + """
local number, forgotten = following(KEYS[1], KEYS[2], ARGV[1])
return {number - 1, forgotten and 1 or 0}
"""
)
"""Keys: a session, its counts. Argument: the count. Returns as COUNT, and counts nothing."""

RENEW = """
for _, key in ipairs(KEYS) do
    redis.call('EXPIRE', key, ARGV[1])
end
return 1
"""
"""Keys: those of a session. Argument: the seconds that they stay from now on."""

PACE = """
if ARGV[2] then
    redis.call('SET', KEYS[1], ARGV[2])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.call('GET', KEYS[1])
"""
"""Key: the speed. Arguments: the seconds that it stays, and the new one, if it changes. Returns it, or nothing."""

JOIN = START + "return serial(KEYS[1])"
"""Key: the counter of servers. Returns the number of one more, which no other has."""
