"""The ledger inside Redis: line by line what sqlite_books does, each script one transaction.

KEYS[base + ...]   of each kind a hash (key -> value, MessagePack) and a sorted set, its order;
                   then the hash of evictions by kind
"""

from __future__ import annotations

from muttd.queue.ledger import KEPT_US, KINDS, MOST_EARLY_OF_ONE, MOST_OPEN_OF_ONE, SLOTS
from muttd.queue.redis_scripts import Script


def _table(values: dict[str, int]) -> str:
    return "{" + ", ".join(f"{name} = {value}" for name, value in values.items()) + "}"


_LEDGER = (
    f"""
local SLOTS, MOST_OPEN, MOST_EARLY = {SLOTS}, {MOST_OPEN_OF_ONE}, {MOST_EARLY_OF_ONE}
local PLACES = {_table({kind: n for n, kind in enumerate(KINDS)})}
local KEPT = {_table(KEPT_US)}
local KINDS = {len(KINDS)}
"""
    + """
-- Of the first key of the ledger; how many keys of each kind at most.
local base, MOST

local function hash(kind) return KEYS[base + 2 * PLACES[kind]] end
local function order(kind) return KEYS[base + 2 * PLACES[kind] + 1] end
local function evictions() return KEYS[base + 2 * KINDS] end

local function get(kind, key)
    local text = redis.call('HGET', hash(kind), key)
    return text and cmsgpack.unpack(text) or nil
end

local function place_of(kind, key)
    local place = redis.call('ZSCORE', order(kind), key)
    return place and tonumber(place) or nil
end

-- '%.0f', because Lua writes a number of 16 digits as 1.7e+15.
local function put(kind, key, value, place)
    redis.call('HSET', hash(kind), key, cmsgpack.pack(value))
    redis.call('ZADD', order(kind), string.format('%.0f', place), key)
end

-- Many at once: a command for each would cost more than what it does. unpack takes 8000 at most.
local AT_ONCE = 1000

local function get_all(kind, keys)
    local found = {}
    for from = 1, #keys, AT_ONCE do
        local till = math.min(from + AT_ONCE - 1, #keys)
        local part = redis.call('HMGET', hash(kind), unpack(keys, from, till))
        for i = from, till do
            local text = part[i - from + 1]
            found[keys[i]] = text and cmsgpack.unpack(text) or nil
        end
    end
    return found
end

local function put_all(kind, states, places)
    local values, ranks = {}, {}
    local function write()
        if #values > 0 then
            redis.call('HSET', hash(kind), unpack(values))
            redis.call('ZADD', order(kind), unpack(ranks))
        end
        values, ranks = {}, {}
    end
    for key, state in pairs(states) do
        values[#values + 1], values[#values + 2] = key, cmsgpack.pack(state)
        ranks[#ranks + 1], ranks[#ranks + 2] = string.format('%.0f', places[key]), key
        if #values == 2 * AT_ONCE then write() end
    end
    write()
end

local function drop(kind, key)
    redis.call('HDEL', hash(kind), key)
    return redis.call('ZREM', order(kind), key) == 1
end

local function is_full(kind) return redis.call('ZCARD', order(kind)) >= MOST[kind] end

local function evict(kind)
    local surplus = redis.call('ZCARD', order(kind)) - MOST[kind]
    while surplus > 0 do
        local part = math.min(surplus, 1000)
        local popped = redis.call('ZPOPMIN', order(kind), part)
        for i = 1, #popped, 2 do redis.call('HDEL', hash(kind), popped[i]) end
        redis.call('HINCRBY', evictions(), kind, part)
        surplus = surplus - part
    end
end

local function first(kind, last, n)
    return redis.call('ZRANGEBYSCORE', order(kind), '-inf', last, 'WITHSCORES', 'LIMIT', 0, n)
end

local function text_of(number) return string.format('%.0f', number) end

local function expire(kind, at_most)
    -- So few at a time that nobody waits; the next look goes on.
    local last = text_of(at_most)
    local gone = redis.call('ZRANGEBYSCORE', order(kind), '-inf', last, 'LIMIT', 0, 2000)
    for _, key in ipairs(gone) do drop(kind, key) end
end

-- Whether the group became due; what is to be kept of it, and its place.
local function weigh_group(key, state, now, threshold, window)
    local slot, total = math.max(1, math.floor(window / SLOTS)), 0
    local due_at, about, newest = state[1], state[2], state[3]
    local kept = {due_at, about, newest}
    for i = 4, #state, 2 do
        if state[i] + slot > now - window then
            kept[#kept + 1] = state[i]
            kept[#kept + 1] = state[i + 1]
            total = total + state[i + 1]
        end
    end
    local is_due = total >= threshold and now >= due_at + window
    if is_due then
        kept[1] = now
        local id = 'unhandled:' .. key .. ':' .. text_of(now)
        put('due', id, {'unhandled', now, total, window, about}, now)
    end
    -- Who is near the threshold outlives a crowd of newcomers by up to a window.
    local place = newest + math.floor(window * math.min(total, threshold) / threshold)
    return is_due, kept, place
end

local function count_group(state, times, window)
    local slot = math.max(1, math.floor(window / SLOTS))
    for i = 1, #times, 2 do
        local place, at = times[i] - times[i] % slot, #state + 1
        for j = 4, #state, 2 do
            if state[j] == place then at = j end
        end
        state[at] = place
        state[at + 1] = (state[at + 1] or 0) + times[i + 1]
        state[3] = math.max(state[3], times[i])
    end
end

local function count_groups(sightings, threshold, window)
    local keys, places = {}, {}
    for i, sighting in ipairs(sightings) do keys[i] = sighting[1] end
    local states = get_all('groups', keys)
    for _, sighting in ipairs(sightings) do
        local key = sighting[1]
        local state = states[key] or {0, sighting[2], 0}
        count_group(state, sighting[3], window)
        local _, kept, place = weigh_group(key, state, state[3], threshold, window)
        states[key], places[key] = kept, place
    end
    put_all('groups', states, places)
end

local function count(counted)
    local threshold, window = counted[1], counted[2]
    count_groups(counted[3], threshold, window)
    for _, heard in ipairs(counted[4]) do
        local place = place_of('seen', heard[1])
        if (not place and not is_full('seen')) or (place and heard[3] > place) then
            put('seen', heard[1], {heard[2]}, heard[3])
        end
    end
    for _, alert_id in ipairs(counted[5]) do drop('judged', alert_id) end
    if #counted[3] > 0 then evict('groups') evict('due') end
end

local function is_part(some, others)
    local set = {}
    for _, name in ipairs(others) do set[name] = true end
    for _, name in ipairs(some) do
        if not set[name] then return false end
    end
    return true
end

-- Whether one of them names nothing that the other does not.
local function is_same_thing(names, others)
    return is_part(names, others) or is_part(others, names)
end

-- A problem: signature, what it is about, when, and where it waits in `later` if it does; or as
-- what it was put into the outbox.
local function keep_problem(claim, problems, waits)
    local others, kept = {}, {}
    for _, problem in ipairs(problems) do
        if problem[1] ~= claim.signature then others[#others + 1] = problem end
    end
    for i = math.max(1, #others + 2 - MOST_OPEN), #others do kept[#kept + 1] = others[i] end
    kept[#kept + 1] = {claim.signature, claim.names, claim.at, waits}
    put('open', claim.pair, kept, claim.at)
end

local function is_due(problem) return string.sub(problem[4], 1, 6) == 'alert:' end

-- A problem that is held back, and whose receiver thinks it is over, is raised later.
local function hold_reopened(claim, till)
    local problems = get('open', claim.pair) or {}
    for _, problem in ipairs(problems) do
        local waits = problem[4] ~= '' and not is_due(problem)
        if problem[1] == claim.signature and not waits then return end
    end
    keep_problem(claim, problems, claim.key)
    local later = {claim.id, claim.alert, claim.pair, claim.signature, claim.interval}
    put('later', claim.key, later, till)
end

-- Note a problem; the clear that came before it, in which case it is none.
local function open_problem(claim)
    local ended, rest, newest = nil, {}, 0
    for _, early in ipairs(get('early', claim.pair) or {}) do
        if early[1] > claim.at and is_same_thing(early[2], claim.names) then
            ended = ended or early[3]
        else
            rest[#rest + 1] = early
            newest = math.max(newest, early[1])
        end
    end
    if not ended then
        keep_problem(claim, get('open', claim.pair) or {}, '')
        return {}
    end
    if #rest > 0 then put('early', claim.pair, rest, newest) else drop('early', claim.pair) end
    return {ended}
end

local function raised(claim)
    local held_back, ended = 0, {}
    if claim.interval > 0 then
        local state = get('repeats', claim.key)
        if state and claim.at < state[2] + claim.interval then
            local till = state[2] + claim.interval
            put('repeats', claim.key, {state[1], state[2], state[3] + 1}, till)
            if claim.pair ~= '' then hold_reopened(claim, till) end
            return {1, 0, state[1], {}}
        end
        if state then held_back = state[3] end
        put('repeats', claim.key, {claim.id, claim.at, 0}, claim.at + claim.interval)
        drop('later', claim.key)
    end
    if claim.pair ~= '' then ended = open_problem(claim) end
    return {0, held_back, '', ended}
end

local function cleared(claim)
    local ended, kept, is_known = {}, {}, false
    for _, problem in ipairs(get('open', claim.pair) or {}) do
        if problem[3] > claim.at or not is_same_thing(problem[2], claim.names) then
            kept[#kept + 1] = problem
        else
            is_known = true
            if problem[4] ~= '' and not is_due(problem) then
                drop('later', problem[4])
            elseif problem[4] == '' or not drop('due', problem[4]) then
                -- Not in the outbox any more, where its clear would overtake it.
                ended[#ended + 1] = problem[1]
            end
        end
    end
    if not is_known then
        local early, last = get('early', claim.pair) or {}, {}
        for i = math.max(1, #early + 2 - MOST_EARLY), #early do last[#last + 1] = early[i] end
        last[#last + 1] = {claim.at, claim.names, claim.alert}
        put('early', claim.pair, last, claim.at)
    elseif #kept > 0 then
        put('open', claim.pair, kept, claim.at)
    else
        drop('open', claim.pair)
    end
    return {2, 0, '', ended}
end
"""
)


class LedgerScript(Script):
    """A script that finds the ledger's keys from KEYS[base] on."""

    def __init__(self, lua: str, *, base: int) -> None:
        super().__init__(f"{_LEDGER}\nbase, MOST = {base}, cmsgpack.unpack(ARGV[1])\n{lua}")
