-- log: where the pool's event log stands, and what it holds after a place, in one atomic read.
--
-- KEYS    1 meta (string) · 2 log (stream) · 3 standing (hash: group name + number, or `pool`; status
--         and its beginning) · 4 groups (zset)
-- ARGV    seq of the place, the most events to return, the most standing counters to return
-- Reply   meta (false = the pool has none), seq of the oldest event (0 = none), the entries from the
--         place's own on (none when more than the most lie behind it), standing (field, value, …)
--         or false when there are more,
--         how many groups there are
-- Costs   O(log n + returned)

local meta = redis.call('GET', KEYS[1])
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local from, most = tonumber(ARGV[1]), tonumber(ARGV[2])

local entries = {}
if meta and most > 0 then
  local _, _, _, _, top = struct.unpack('<ddddd', meta)
  if top - from <= most then
    local found = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', from), '+', 'COUNT', most + 1)
    for i = 1, #found do entries[i] = found[i][2][2] end
  end
end

local standing = {}
local wanted = tonumber(ARGV[3])
if wanted > 0 then
  standing = redis.call('HLEN', KEYS[3]) <= wanted and redis.call('HGETALL', KEYS[3])
end
return { meta, oldest and string.match(oldest[1], '^%d+') or '0', entries, standing, redis.call('ZCARD', KEYS[4]) }
