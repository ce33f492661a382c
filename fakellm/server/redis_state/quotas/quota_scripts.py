"""What Redis does with quotas in one step, in Lua: the arithmetic of `quotas.buckets`, with the same results.

Owns how quotas are kept. Of one that fills up by itself, a hash has what is used of it and when that was so, as three
whole numbers: the units; the rest of a unit, divided into as many parts as the period has milliseconds; and the
milliseconds since 1970. Lua has only floating-point numbers, in which all these are exact. What replies hold until they
have ended is in a hash for each server, which the server must renew: one that is gone holds nothing for long.
"""

from __future__ import annotations

from fakellm.server.redis_state.scripts import COUNTING

_HOLDING = """
local function give_back(held, returned)
    for _, each in ipairs(returned) do
        if tonumber(redis.call('HGET', held, each[1]) or '0') > each[2] then
            redis.call('HINCRBY', held, each[1], -each[2])
        else
            redis.call('HDEL', held, each[1])
        end
    end
end
"""

TAKE = (
    COUNTING
    + _HOLDING
    + """
local session, counts, quotas, order, holders = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local request = cjson.decode(ARGV[1])
local own = request.held .. request.server

local function used(word, limit, period, now)
    local text = redis.call('HGET', quotas, word)
    if not text then
        return 0, 0, now
    end
    local units, rest, since = string.match(text, '(%d+) (%d+) (%d+)')
    units, rest, since = tonumber(units), tonumber(rest), tonumber(since)
    local passed = math.max(now - since, 0)
    local part = math.fmod(passed, period)
    local product = part * math.fmod(limit, period)
    local over = math.fmod(product, period)
    units = units - (passed - part) / period * limit
    units = units - part * ((limit - math.fmod(limit, period)) / period) - (product - over) / period
    rest = rest - over
    if rest < 0 then
        units, rest = units - 1, rest + period
    end
    if units < 0 then
        units, rest = 0, 0
    end
    return units, rest, math.max(now, since)
end

local function held_by_all(word)
    local sum = 0
    for _, server in ipairs(redis.call('SMEMBERS', holders)) do
        local amount = redis.call('HGET', request.held .. server, word)
        if amount then
            sum = sum + tonumber(amount)
        elseif redis.call('EXISTS', request.held .. server) == 0 then
            redis.call('SREM', holders, server)
        end
    end
    return sum
end

give_back(own, request.returned)
if redis.call('HGET', session, 'serial') ~= request.serial then
    return false
end
local number, forgotten = 1, false
if request.count then
    number, forgotten = following(session, counts, request.count)
end
local demands
for _, each in ipairs(request.cases) do
    if each[1] <= number and (each[2] == cjson.null or number <= each[2]) then
        demands = each[3]
    end
end
if not demands then
    return {-1, number, forgotten and 1 or 0}
end

local now = tonumber(redis.call('HGET', session, 'advanced') or '0')
if request.now then
    now = now + request.now
else
    local time = redis.call('TIME')
    now = now + tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local fits, uses = true, {}
for place, demand in ipairs(demands) do
    local word, limit, period, amount = demand[1], demand[2], demand[3], demand[4]
    local units, rest, since
    if period == 0 then
        units, rest = held_by_all(word), 0
    else
        units, rest, since = used(word, limit, period, now)
    end
    local over = units + amount - limit
    fits = fits and (over < 0 or (over == 0 and rest == 0))
    uses[place] = {units, rest, since}
end

local result = {fits and 1 or 0, number, forgotten and 1 or 0, now}
for place, demand in ipairs(demands) do
    local word, period, amount = demand[1], demand[3], demand[4]
    local units, rest, since = uses[place][1], uses[place][2], uses[place][3]
    if fits then
        units = units + amount
        if period == 0 then
            redis.call('HINCRBY', own, word, amount)
            redis.call('EXPIRE', own, request.lease)
            redis.call('SADD', holders, request.server)
            redis.call('EXPIRE', holders, request.seconds)
        else
            redis.call('HSET', quotas, word, string.format('%.0f %.0f %.0f', units, rest, since))
            redis.call('ZADD', order, redis.call('HINCRBY', session, 'uses', 1), word)
            if redis.call('ZCARD', order) > request.most then
                redis.call('HDEL', quotas, redis.call('ZPOPMIN', order)[1])
            end
            redis.call('EXPIRE', quotas, request.seconds)
            redis.call('EXPIRE', order, request.seconds)
        end
    end
    table.insert(result, units)
    table.insert(result, rest)
end
if fits and request.count then
    count(session, counts, request.count, number, forgotten, request.most_counts)
    redis.call('EXPIRE', counts, request.seconds)
end
redis.call('EXPIRE', session, request.seconds)
return result
"""
)
"""Keys: a session, its counts, its quotas, the order of their use, and the servers that hold something of it. Argument:
JSON with

- `serial` of the session, `seconds` that it stays;
- `cases`: the first and the last number of attempts (null: all that follow), and what they demand: of each quota its
  name, limit, period, and the amount;
- `count`: which attempts are counted, or false; `most_counts`, `most`: how many counts and quotas are kept;
- `now`: the time of quotas, or false for that of Redis;
- `held`, `server`: what the hashes of servers begin with, and the number of this one; `lease`: the seconds that its
  hash stays; `returned`: names and amounts that it gives back.

Returns nothing if the session has been replaced; -1 and the next attempt if no case is for it; otherwise 1 if the
request fits or 0, its attempt, the time, and of each quota the units that are used now, and the rest."""

GIVE_BACK = (
    _HOLDING
    + """
for place, returned in ipairs(cjson.decode(ARGV[1])) do
    give_back(KEYS[place], returned)
end
return 1
"""
)
"""Keys: hashes of this server. Argument: JSON with the names and amounts that it gives back of each."""

RENEW_HELD = """
local seconds, lease, server = ARGV[1], ARGV[2], ARGV[3]
for place = 1, #KEYS, 3 do
    local held, holders, before = KEYS[place], KEYS[place + 1], KEYS[place + 2]
    if redis.call('EXISTS', held) == 0 then
        for _, each in ipairs(cjson.decode(ARGV[3 + (place + 2) / 3])) do
            redis.call('HSET', held, each[1], each[2])
        end
        redis.call('SADD', holders, server)
    end
    if before ~= held then
        redis.call('DEL', before)
    end
    redis.call('EXPIRE', held, lease)
    redis.call('EXPIRE', holders, seconds)
end
return 1
"""
"""Keys: for each session of which this server holds something, its hash, the set of servers, and the hash that it had
before. Arguments: the seconds that a session and a hash stay, the server, and for each session what it holds, as JSON:
it is stored again if Redis does not have it any more."""

ADVANCE = """
if redis.call('HGET', KEYS[1], 'serial') ~= ARGV[2] then
    return false
end
if tonumber(redis.call('HGET', KEYS[1], 'advanced') or '0') + tonumber(ARGV[3]) > tonumber(ARGV[4]) then
    return -1
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'advanced', ARGV[3])
"""
"""Key: a session. Arguments: the seconds that it stays, its serial, the milliseconds that pass, and how many may pass
in all. Returns how many have; nothing if the session has been replaced, and -1 if that is too many."""
