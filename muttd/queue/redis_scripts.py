"""The Lua that runs inside Redis: each script is one transaction, on the server and its replicas.

    append   XADD + size, unless the limit is passed      ack, bury   XACK + XDEL - size, and more
    claim    XPENDING -> XCLAIM, with delivery counts     touch       XCLAIM JUSTID of one's own
    depth    counts, mended when they disagree            release     XCLAIM JUSTID for RELEASED
    replay   letter -> entry, with its past

An entry's size leaves the hash together with the entry, and the total falls by what the hash had:
a second ack finds no size and counts nothing. The first write of every script comes before any
that needs memory: a server out of memory refuses the script whole, or lets it finish.
"""

from __future__ import annotations

import hashlib

import redis

from muttd.queue.redis_keys import GROUP, RELEASED

_PRELUDE = (
    f"""
local GROUP, RELEASED = '{GROUP}', '{RELEASED}'
"""
    + """
-- A new stream gets its group at once: later there may be no memory to make one, and nobody could
-- take what is in it.
local function add(stream, sizes, n, payload, ...)
    local is_new = redis.call('EXISTS', stream) == 0
    local id = redis.call('XADD', stream, '*', 'n', n, 'payload', payload, ...)
    if is_new then
        redis.call('XGROUP', 'CREATE', stream, GROUP, '0')
        -- In the same slot as the stream, by the same hash tag.
        local tag, destination = string.match(stream, '^({.*}:)alert%.(.+)$')
        if tag then redis.call('SADD', tag .. 'destinations', destination) end
    end
    redis.call('HSET', sizes, id, n)
    redis.call('HINCRBY', sizes, 'total', n)
end

-- ARGV[at] is how many ids follow; returns where the next argument is.
local function forget(stream, sizes, at)
    local last = at + tonumber(ARGV[at])
    for i = at + 1, last do
        local n = redis.call('HGET', sizes, ARGV[i])
        redis.call('XACK', stream, GROUP, ARGV[i])
        redis.call('XDEL', stream, ARGV[i])
        if n then
            redis.call('HDEL', sizes, ARGV[i])
            redis.call('HINCRBY', sizes, 'total', -n)
        end
    end
    return last + 1
end
"""
)


class Script:
    """One script; sent by its digest, and whole when the server does not know it (yet)."""

    def __init__(self, lua: str) -> None:
        self._lua = _PRELUDE + lua
        self._digest = hashlib.sha1(self._lua.encode(), usedforsecurity=False).hexdigest()

    def run(
        self, client: redis.Redis, keys: list[str], arguments: list[str | int | bytes]
    ) -> object:
        """Run it; whatever it returns, as redis-py has it.

        Raises:
            redis.RedisError: As any command does.
        """
        try:
            return client.evalsha(self._digest, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            # A server that has just started, or was just promoted.
            return client.eval(self._lua, len(keys), *keys, *arguments)


# KEYS stream, sizes. ARGV limit, then n and payload of each batch.
# Returns -1, or what the stream holds when that leaves no room.
APPEND = Script("""
local held, more = tonumber(redis.call('HGET', KEYS[2], 'total') or 0), 0
for i = 2, #ARGV, 2 do more = more + ARGV[i] end
if held + more > tonumber(ARGV[1]) then return held end
for i = 2, #ARGV, 2 do add(KEYS[1], KEYS[2], ARGV[i], ARGV[i + 1]) end
return -1
""")

# KEYS stream, sizes, then stream and sizes of each batch to append.
# ARGV how many ids, the ids, then n and payload of each batch.
ACK = Script("""
local at, key = forget(KEYS[1], KEYS[2], 1), 3
while key < #KEYS do
    add(KEYS[key], KEYS[key + 1], ARGV[at], ARGV[at + 1])
    at, key = at + 2, key + 2
end
""")

# KEYS stream, sizes, letters, buried, then the order that each letter belongs to.
# ARGV how many ids, the ids, then id and text of each letter.
BURY = Script("""
local at = forget(KEYS[1], KEYS[2], 1)
for key = 5, #KEYS do
    if redis.call('HSETNX', KEYS[3], ARGV[at], ARGV[at + 1]) == 1 then
        redis.call('ZADD', KEYS[key], redis.call('INCR', KEYS[4]), ARGV[at])
    end
    at = at + 2
end
""")

# KEYS letters, then order, stream and sizes of each letter. ARGV id, payload and past of each
# letter. Returns the ids of those that were there.
REPLAY = Script("""
local done = {}
for i = 1, #ARGV, 3 do
    local id, payload, past = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if redis.call('ZREM', KEYS[i + 1], id) == 1 then
        redis.call('HDEL', KEYS[1], id)
        add(KEYS[i + 2], KEYS[i + 3], 1, payload, 'past', past)
        done[#done + 1] = id
    end
end
return done
""")

# KEYS letters, then every order. ARGV the ids. Returns the ids of those that were there.
DISCARD = Script("""
local done = {}
for _, id in ipairs(ARGV) do
    for key = 2, #KEYS do redis.call('ZREM', KEYS[key], id) end
    if redis.call('HDEL', KEYS[1], id) == 1 then done[#done + 1] = id end
end
return done
""")

# KEYS letters. ARGV id, text as it was read, new text. Returns whether it was still so.
EDIT = Script("""
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
""")

# KEYS stream. ARGV consumer, least idle time (ms), how many at most, whose ('' for anybody's), then
# ids to leave alone. Returns {id, deliveries, fields} of each, oldest first.
CLAIM = Script("""
local consumer, idle, count, owner = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local skipped, claimed, start = {}, {}, '-'
for i = 5, #ARGV do skipped[ARGV[i]] = true end
while #claimed < count do
    local query = {'XPENDING', KEYS[1], GROUP, 'IDLE', idle, start, '+', 100}
    if owner ~= '' then query[#query + 1] = owner end
    local page = redis.call(unpack(query))
    if #page == 0 then break end
    for _, pending in ipairs(page) do
        local id = pending[1]
        if #claimed < count and not skipped[id] then
            -- Nothing comes back for an entry that somebody has deleted by hand.
            local entry = redis.call('XCLAIM', KEYS[1], GROUP, consumer, idle, id)[1]
            if entry then claimed[#claimed + 1] = {id, pending[4] + 1, entry[2]} end
        end
    end
    start = '(' .. page[#page][1]
end
return claimed
""")

# KEYS stream. ARGV consumer, ids.
TOUCH = Script("""
for i = 2, #ARGV do
    local own = redis.call('XPENDING', KEYS[1], GROUP, ARGV[i], ARGV[i], 1, ARGV[1])
    -- JUSTID keeps XCLAIM from counting this as one more delivery.
    if #own > 0 then redis.call('XCLAIM', KEYS[1], GROUP, ARGV[1], 0, ARGV[i], 'JUSTID') end
end
""")

# KEYS stream. ARGV consumer, ids.
RELEASE = Script("""
for i = 2, #ARGV do
    local own = redis.call('XPENDING', KEYS[1], GROUP, ARGV[i], ARGV[i], 1, ARGV[1])[1]
    if own then
        redis.call('XCLAIM', KEYS[1], GROUP, RELEASED, 0, ARGV[i],
            'RETRYCOUNT', own[4] - 1, 'JUSTID')
    end
end
""")

# KEYS stream, sizes. Returns items, entries, pending items, id of the oldest or ''.
# Stream and sizes disagree only after somebody has changed one of them by hand.
DEPTH = Script("""
local entries = redis.call('XLEN', KEYS[1])
if entries ~= math.max(0, redis.call('HLEN', KEYS[2]) - 1) then
    local total, start = 0, '-'
    redis.call('DEL', KEYS[2])
    while true do
        local page = redis.call('XRANGE', KEYS[1], start, '+', 'COUNT', 100)
        if #page == 0 then break end
        for _, entry in ipairs(page) do
            local n = 1
            for i = 1, #entry[2], 2 do
                if entry[2][i] == 'n' then n = tonumber(entry[2][i + 1]) or 1 end
            end
            redis.call('HSET', KEYS[2], entry[1], n)
            total = total + n
        end
        start = '(' .. page[#page][1]
    end
    redis.call('HSET', KEYS[2], 'total', total)
end
local pending, start = 0, '-'
while true do
    -- No group yet is nothing pending.
    local page = redis.pcall('XPENDING', KEYS[1], GROUP, start, '+', 1000)
    if page.err or #page == 0 then break end
    local ids = {}
    for i, each in ipairs(page) do ids[i] = each[1] end
    for i, n in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
        if n and page[i][2] ~= RELEASED then pending = pending + n end
    end
    start = '(' .. ids[#ids]
end
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local items = tonumber(redis.call('HGET', KEYS[2], 'total') or 0)
return {items, entries, pending, oldest and oldest[1] or ''}
""")
