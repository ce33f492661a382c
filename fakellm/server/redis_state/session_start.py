"""How a session starts in Redis, in Lua: what the scripts for sessions and for journals have in common."""

from __future__ import annotations

START = """
local function serial(counter)
    local time, number = redis.call('TIME'), redis.call('INCR', counter)
    redis.call('EXPIRE', counter, 86400)
    return number .. '.' .. time[1] .. '.' .. time[2]
end

local function start(session, counter, seconds)
    if redis.call('EXISTS', session) == 0 then
        local number = serial(counter)
        redis.call('HSET', session, 'serial', number, 'version', number)
    end
    redis.call('EXPIRE', session, seconds)
end
"""
"""`serial`: a number that no other session has. With the time, it stays unique if Redis loses its data, or the counter,
which it drops a day after the last use. `start`: starts a session if there is none, and keeps it for so many seconds.
"""
