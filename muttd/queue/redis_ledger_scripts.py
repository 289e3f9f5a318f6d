"""What the ledger does inside Redis: each script is one transaction, written in redis_books' words.

The first argument is always how many keys each kind may have, the second what is asked. Arguments
and answers are one MessagePack text each: cmsgpack knows no binary strings, so every value is text.
"""

from __future__ import annotations

from muttd.queue.redis_books import LedgerScript

# KEYS stream, sizes, the ledger's, then stream and sizes of each batch to append.
# ARGV most, what is counted, how many ids, the ids, then n and payload of each batch.
ACK_COUNTED = LedgerScript(
    """
local before = redis.call('HLEN', KEYS[2])
local at, key = forget(KEYS[1], KEYS[2], 3), 4 + 2 * KINDS
-- Nothing to forget: this ack was made before, and its answer lost.
local is_new = redis.call('HLEN', KEYS[2]) < before
while key < #KEYS do
    add(KEYS[key], KEYS[key + 1], ARGV[at], ARGV[at + 1])
    at, key = at + 2, key + 2
end
if is_new then count(cmsgpack.unpack(ARGV[2])) end
""",
    base=3,
)

# KEYS the ledger's. ARGV most, claims. Returns verdicts.
JUDGE = LedgerScript(
    """
local verdicts = {}
for i, c in ipairs(cmsgpack.unpack(ARGV[2])) do
    local claim = {
        id = c[1], at = c[2], interval = c[3], key = c[4], pair = c[5], signature = c[6],
        names = c[7], alert = c[9],
    }
    local verdict = get('judged', claim.id)
    if not verdict then
        if c[8] then verdict = cleared(claim) else verdict = raised(claim) end
        put('judged', claim.id, verdict, claim.at)
    end
    verdicts[i] = verdict
end
for _, kind in ipairs({'judged', 'repeats', 'open', 'later', 'early'}) do evict(kind) end
return cmsgpack.pack(verdicts)
""",
    base=1,
)

# KEYS the ledger's. ARGV most, {now, window, how many}. Returns {items, held, evicted}.
DUE = LedgerScript(
    """
local asked = cmsgpack.unpack(ARGV[2])
local now, window, count = asked[1], asked[2], asked[3]
local ripe = first('later', text_of(now), count)
for i = 1, #ripe, 2 do
    local key, place, later = ripe[i], tonumber(ripe[i + 1]), get('later', ripe[i])
    drop('later', key)
    local state = get('repeats', key) or {later[1], place, 1}
    put('repeats', key, {later[1], place, 0}, place + later[5])
    put('due', 'alert:' .. later[1], {'alert', place, state[3] - 1, 0, later[2]}, place)
    local problems = get('open', later[3]) or {}
    for _, problem in ipairs(problems) do
        if problem[1] == later[4] then problem[4] = 'alert:' .. later[1] end
    end
    put('open', later[3], problems, place)
end
for kind, kept in pairs(KEPT) do expire(kind, now - kept) end
expire('groups', now - window)
local found, held, evicted = {}, {}, {}
local due = first('due', '+inf', count)
for i = 1, #due, 2 do
    local item = get('due', due[i])
    found[#found + 1] = {due[i], item[1], item[2], item[3], item[4], item[5]}
end
for kind, _ in pairs(PLACES) do
    held[kind] = redis.call('ZCARD', order(kind))
    evicted[kind] = tonumber(redis.call('HGET', evictions(), kind) or 0)
end
return cmsgpack.pack({found, held, evicted})
""",
    base=1,
)

# KEYS the ledger's, then stream and sizes of each batch. ARGV most, {ids with a batch, ids
# without}, then n and payload of each batch.
SETTLE = LedgerScript(
    """
local settled, key = cmsgpack.unpack(ARGV[2]), 2 + 2 * KINDS
for i, id in ipairs(settled[1]) do
    if drop('due', id) then
        add(KEYS[key], KEYS[key + 1], ARGV[1 + 2 * i], ARGV[2 + 2 * i])
    end
    key = key + 2
end
for _, id in ipairs(settled[2]) do drop('due', id) end
""",
    base=1,
)

# KEYS the ledger's. ARGV most, {now, threshold, window}, cursor, how many. Returns {cursor, how
# many became due}.
RECOUNT = LedgerScript(
    """
local asked, became = cmsgpack.unpack(ARGV[2]), 0
local page = redis.call('HSCAN', hash('groups'), ARGV[3], 'COUNT', ARGV[4])
for i = 1, #page[2], 2 do
    local key, state = page[2][i], cmsgpack.unpack(page[2][i + 1])
    -- A look at all of them changes only those that it finds.
    local is_due, kept, place = weigh_group(key, state, asked[1], asked[2], asked[3])
    if is_due then
        put('groups', key, kept, place)
        became = became + 1
    end
end
return {page[1], became}
""",
    base=1,
)

# KEYS the ledger's, then the watch. ARGV most, {watcher, now, gap, quiet before, {hosts to adopt}}.
# Returns '' when another one watches, or {since, quiet, silent}.
WATCH = LedgerScript(
    """
local asked, watch = cmsgpack.unpack(ARGV[2]), KEYS[#KEYS]
local watcher, now, gap, before = asked[1], asked[2], asked[3], asked[4]
-- Since when, until when, by whom.
local text = redis.call('GET', watch)
local state = text and cmsgpack.unpack(text) or {now, now, watcher}
if now - state[2] > gap then
    state[1] = now
elseif state[3] ~= watcher and now - state[2] <= math.floor(gap / 2) then
    return ''
end
redis.call('SET', watch, cmsgpack.pack({state[1], math.max(now, state[2]), watcher}))
for _, host in ipairs(asked[5]) do
    if not place_of('seen', host) and not get('silent', host) then put('seen', host, {''}, now) end
end
evict('seen')
local quiet, silent = {}, {}
local found = redis.call('ZRANGEBYSCORE', order('seen'), '-inf', text_of(before), 'WITHSCORES')
for i = 1, #found, 2 do
    quiet[#quiet + 1] = {found[i], get('seen', found[i])[1], tonumber(found[i + 1])}
end
for _, host in ipairs(redis.call('ZRANGE', order('silent'), 0, -1)) do
    -- -1 for "not since": a hole would end the list.
    silent[#silent + 1] = {host, get('silent', host)[2], place_of('seen', host) or -1}
end
return cmsgpack.pack({state[1], quiet, silent})
""",
    base=1,
)

# KEYS the ledger's. ARGV most, the fallen.
FALL_SILENT = LedgerScript(
    """
for _, each in ipairs(cmsgpack.unpack(ARGV[2])) do
    local host, last, at, every, about = each[1], each[2], each[3], each[4], each[5]
    if place_of('seen', host) == last and not get('silent', host) then
        drop('seen', host)
        local id = 'silent:' .. host .. ':' .. text_of(last)
        put('silent', host, {id, about}, at)
        put('due', id, {'silent', at, 0, every, about}, at)
    end
end
evict('silent')
evict('due')
""",
    base=1,
)

# KEYS the ledger's. ARGV most, {hosts, now, hosts to forget}.
END_SILENCE = LedgerScript(
    """
local asked = cmsgpack.unpack(ARGV[2])
for _, host in ipairs(asked[1]) do
    local state = get('silent', host)
    if state then
        drop('silent', host)
        put('due', state[1] .. ':back', {'back', asked[2], 0, 0, state[2]}, asked[2])
    end
end
for _, host in ipairs(asked[3]) do drop('seen', host) end
""",
    base=1,
)
