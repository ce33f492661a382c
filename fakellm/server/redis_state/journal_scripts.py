"""What Redis does with journals in one step, in Lua.

Owns how journals are kept. An entry changes until its reply has ended, and an entry of a Redis stream cannot change. So
each journal is a hash with the entries, and three sorted sets of their ids: entries without a number, by the arrival of
their requests; numbered entries, in order; and numbered entries that have changed, by the time of the last change.

Of an entry with the id I, the hash has `qI`, its request; `sI`, its state; `fI`, what counts when it is dropped: 1
or 0 for whether it matched, and the rule; `rI`, its reply; `vI`, when that was written; `nI`, its number; and `bI`,
its bytes. It also has the `serial` of the session, `count`, how many entries have got a number, and how many of
those were `dropped`, how many of the dropped were `unmatched`, and how many were `lost` before they were written.
"""

from __future__ import annotations

from fakellm.server.redis_state.session_start import START

JOURNALS = """
local JOURNALS, SIZES, SIZE, SEQUENCE =
    'fakellm:journals', 'fakellm:journals:sizes', 'fakellm:journals:size', 'fakellm:journals:sequence'

local function key(kind, name)
    return 'fakellm:journal:' .. kind .. ':' .. name
end

local function resize(name, bytes)
    redis.call('HINCRBY', SIZES, name, bytes)
    redis.call('INCRBY', SIZE, bytes)
end

local function forget(name)
    redis.call('DEL', key('entries', name), key('staged', name), key('order', name), key('changed', name),
        key('rules', name))
    redis.call('DECRBY', SIZE, redis.call('HGET', SIZES, name) or 0)
    redis.call('HDEL', SIZES, name)
    redis.call('ZREM', JOURNALS, name)
end
"""
"""`forget` ends a journal. Of all journals, there are the sequence number of the oldest entry of each, the bytes of
each, the bytes of all, and the last sequence number."""

_BOUNDED = (
    START
    + JOURNALS
    + """
local function keep(name, seconds)
    for _, kind in ipairs({'entries', 'staged', 'order', 'changed', 'rules'}) do
        redis.call('EXPIRE', key(kind, name), seconds)
    end
    for _, each in ipairs({JOURNALS, SIZES, SIZE, SEQUENCE}) do
        redis.call('EXPIRE', each, seconds)
    end
end

local function number(name, latest)
    local entries, staged = key('entries', name), key('staged', name)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', staged, '-inf', latest)) do
        redis.call('ZADD', key('order', name), redis.call('INCR', SEQUENCE), id)
        redis.call('HSET', entries, 'n' .. id, redis.call('HINCRBY', entries, 'count', 1))
    end
    redis.call('ZREMRANGEBYSCORE', staged, '-inf', latest)
end

local function count_dropped(name, facts)
    if string.sub(facts, 1, 1) == '0' then
        redis.call('HINCRBY', key('entries', name), 'unmatched', 1)
    end
    if #facts > 1 then
        redis.call('SADD', key('rules', name), string.sub(facts, 2))
    end
end

local function lose(name, facts)
    redis.call('HINCRBY', key('entries', name), 'lost', 1)
    count_dropped(name, facts)
end

local function anew(name, serial)
    local entries = key('entries', name)
    number(name, '+inf')
    for _, id in ipairs(redis.call('ZRANGE', key('order', name), 0, -1)) do
        lose(name, redis.call('HGET', entries, 'f' .. id) or '1')
    end
    local facts = redis.call('HMGET', entries, 'dropped', 'lost', 'unmatched')
    local rules = redis.call('SMEMBERS', key('rules', name))
    forget(name)
    redis.call('HSET', entries, 'serial', serial, 'lost', (facts[1] or 0) + (facts[2] or 0), 'unmatched', facts[3] or 0)
    for _, rule in ipairs(rules) do
        redis.call('SADD', key('rules', name), rule)
    end
end

local function opened(name, serial)
    if redis.call('HGET', 'fakellm:session:' .. name, 'serial') ~= serial then
        return false
    end
    if redis.call('HGET', key('entries', name), 'serial') ~= serial then
        anew(name, serial)
    end
    return true
end

local function vanished(name, seconds)
    local session = 'fakellm:session:' .. name
    start(session, 'fakellm:serials', seconds)
    return redis.call('HEXISTS', session, 'replaced') == 0 and opened(name, redis.call('HGET', session, 'serial'))
end

local function drop(name)
    local entries, order = key('entries', name), key('order', name)
    if redis.call('ZCARD', order) == 0 then
        number(name, '+inf')
    end
    local id = redis.call('ZPOPMIN', order)[1]
    if id then
        count_dropped(name, redis.call('HGET', entries, 'f' .. id) or '1')
        resize(name, -(redis.call('HGET', entries, 'b' .. id) or 0))
        redis.call('HDEL', entries, 'q' .. id, 's' .. id, 'f' .. id, 'r' .. id, 'v' .. id, 'n' .. id, 'b' .. id)
        redis.call('HINCRBY', entries, 'dropped', 1)
        redis.call('ZREM', key('changed', name), id)
    elseif redis.call('EXISTS', entries) == 0 then
        forget(name)
        return
    end
    local first = redis.call('ZRANGE', order, 0, 0, 'WITHSCORES')[2]
    if not first and redis.call('EXISTS', key('staged', name)) == 1 then
        first = redis.call('INCR', SEQUENCE)
    end
    if first then
        redis.call('ZADD', JOURNALS, first, name)
    else
        redis.call('ZREM', JOURNALS, name)
    end
end

local function is_last(name)
    local count = redis.call('ZCARD', key('order', name)) + redis.call('ZCARD', key('staged', name))
    return count == 1 and redis.call('ZCARD', JOURNALS) == 1
end

local function bound(name, most_bytes, most_entries)
    while redis.call('ZCARD', key('order', name)) > tonumber(most_entries) do
        drop(name)
    end
    while tonumber(redis.call('GET', SIZE) or 0) > tonumber(most_bytes) do
        local oldest = redis.call('ZRANGE', JOURNALS, 0, 0)[1]
        if not oldest then
            redis.call('DEL', SIZE)
        elseif is_last(oldest) then
            return
        else
            drop(oldest)
        end
    end
end
"""
)
"""`opened`: whether the session still has this serial; its journal is then its own. `anew` starts that, and counts what
is there as lost: what has been replaced has left nothing. `vanished`: whether a session that has another serial is gone
although nothing has replaced it (Redis has lost it); there is another one then. `number` gives numbers to the
staged entries whose requests had arrived by then, `drop` drops the oldest entry, and `bound` as many as necessary: the
newest always stays. A journal that has expired still counts, until it is the oldest."""

WRITE = (
    _BOUNDED
    + """
local time, names, gone = redis.call('TIME'), {}, {}
for i = 7, #ARGV, 10 do
    local name, serial, id, started, facts = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
    local request, size, state, reply, more = ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8], ARGV[i + 9]
    if opened(name, serial) then
        local entries = key('entries', name)
        names[name] = true
        local known = redis.call('HEXISTS', entries, 'q' .. id) == 1
        if request ~= '' and not known then
            known = true
            redis.call('HSET', entries, 'q' .. id, request, 'b' .. id, size)
            redis.call('ZADD', key('staged', name), started, id)
            redis.call('ZADD', JOURNALS, 'NX', redis.call('GET', SEQUENCE) or 0, name)
            resize(name, size)
        end
        if known then
            local numbered = redis.call('HEXISTS', entries, 'n' .. id) == 1
            local sequence = numbered and redis.call('INCR', SEQUENCE)
            if state ~= '' then
                redis.call('HSET', entries, 's' .. id, state, 'f' .. id, facts)
            end
            if reply ~= '' and redis.call('HEXISTS', entries, 'r' .. id) == 0 then
                redis.call('HSET', entries, 'r' .. id, reply, 'v' .. id, sequence or 0)
                redis.call('HINCRBY', entries, 'b' .. id, more)
                resize(name, more)
            end
            if numbered then
                redis.call('ZADD', key('changed', name), sequence, id)
            end
        end
    elseif vanished(name, ARGV[1]) then
        names[name], gone[name] = true, true
        if request ~= '' then
            lose(name, facts)
        end
    end
end
for name, _ in pairs(names) do
    number(name, time[1] - ARGV[4])
    bound(name, ARGV[2], ARGV[3])
    keep(name, ARGV[1])
end
redis.call('PUBLISH', ARGV[5], ARGV[6])
local found = {}
for name, _ in pairs(gone) do
    found[#found + 1] = name
end
return found
"""
)
"""Arguments: the seconds that journals stay, the most bytes of all and the most entries of each, the age in seconds
after which staged entries get their numbers although nothing reads them, channel, message; and ten for each entry:
session, serial, id, when its request arrived in seconds since 1970, what counts when it is dropped, its request, that
one's bytes, its state, its reply, and that one's bytes. What has not changed is empty. What has been written before
changes nothing, so it may be sent again.

Returns the names of the sessions that Redis has lost: the journals of those that have started instead count the entries
as lost. Entries of sessions that were replaced are dropped: the new journals begin without them."""

LOSE = (
    _BOUNDED
    + """
if opened(ARGV[2], ARGV[3]) or vanished(ARGV[2], ARGV[1]) then
    redis.call('HINCRBY', key('entries', ARGV[2]), 'lost', ARGV[4])
    redis.call('HINCRBY', key('entries', ARGV[2]), 'unmatched', ARGV[5])
    for i = 6, #ARGV do
        redis.call('SADD', key('rules', ARGV[2]), ARGV[i])
    end
    keep(ARGV[2], ARGV[1])
end
return 1
"""
)
"""Counts entries that were dropped before they were written. Arguments: seconds, session, serial, how many there were,
how many of them had not matched, and the rules of the others."""

PULL = (
    _BOUNDED
    + """
local name, place, changed = ARGV[2], tonumber(ARGV[6]), ARGV[7]
if not opened(name, ARGV[3]) then
    return false
end
number(name, '+inf')
bound(name, ARGV[4], ARGV[5])
keep(name, ARGV[1])
local entries, items, bytes, more = key('entries', name), {}, 0, 0
local last = redis.call('GET', SEQUENCE) or '0'
if changed == '' then
    changed = last
end

local function add(id, since)
    local found = redis.call('HMGET', entries, 'n' .. id, 'q' .. id, 's' .. id, 'r' .. id, 'v' .. id)
    local n, request, state, reply = unpack(found)
    if since then
        request = false
        if tonumber(found[5] or 0) <= since then
            reply = false
        end
    end
    bytes = bytes + #(request or '') + #(reply or '')
    items[#items + 1] = {id, n, request, state, reply}
    if bytes > tonumber(ARGV[8]) or #items >= 1000 then
        more = 1
    end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('order', name), '(' .. place, '+inf', 'LIMIT', 0, 1000)) do
    if more == 0 then
        add(id)
        place = redis.call('ZSCORE', key('order', name), id)
    end
end
if more == 0 then
    local since = tonumber(changed)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('changed', name), '(' .. changed, '+inf', 'LIMIT', 0, 1000)) do
        if more == 0 then
            add(id, since)
            changed = redis.call('ZSCORE', key('changed', name), id)
        end
    end
    if more == 0 then
        changed = last
    end
end
local rules = {}
local facts = redis.call('HMGET', entries, 'dropped', 'unmatched', 'lost')
if (facts[1] or '0') .. ':' .. (facts[3] or '0') ~= ARGV[9] then
    rules = redis.call('SMEMBERS', key('rules', name))
end
return {more, tostring(place), changed, facts, rules, redis.call('PUBSUB', 'CHANNELS', ARGV[10]), items}
"""
)
"""Gives all staged entries of a session their numbers. Arguments: seconds, session, serial, the most bytes and entries
as for WRITE, the sequence numbers of the last entry and of the last change that are known, the most bytes to return,
the numbers of dropped and lost entries that are known, and the pattern of the channels of servers.

Returns nothing if the session has been replaced; else whether there is more, the two sequence numbers to go on with,
the numbers of dropped, unmatched and lost entries, their rules if there are more of them, the channels of the servers
that are there, and entries: id, number, request if it is new, state, and reply if that is new."""

KEEP = _BOUNDED + "keep(ARGV[2], ARGV[1]) return 1"
"""Arguments: the seconds that a journal stays from now on, and its session."""

ASK = """
redis.call('PUBLISH', ARGV[1], ARGV[2])
return redis.call('PUBSUB', 'CHANNELS', ARGV[3])
"""
"""Arguments: channel, message, and the pattern of the channels of servers. Returns those of the servers that are
there."""

ENTER = """
local found = redis.call('HGET', KEYS[1], ARGV[2])
if not found or math.abs(found - ARGV[3]) > tonumber(ARGV[4]) then
    found = ARGV[3]
    redis.call('HSET', KEYS[1], ARGV[2], found)
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return found
"""
"""Key: the clocks of machines. Arguments: seconds, a machine, how much the time of Redis is ahead of its clock as just
measured, and how wrong that may be. Returns the value for all servers of the machine."""
