-- announce: a node has seen that data was lost; say so once, whichever nodes saw it.
--
-- KEYS    1 meta (string) · 2 log (stream) · 3 losses (hash: epoch that suffered one, operations lost
--         at least, or `unknown`)
-- ARGV    1 epoch to use if a new one is needed · 2 random stem of event ids · 3 channel · 4 epoch that the node
--         knew · 5 operations that it had seen there · 6 operations that it found (-1 = none of that epoch)
-- Reply   1, or 0 when that epoch's loss was announced before
-- Events  one of the pool, with the cause `data_lost`

local LOSSES_TTL_MS = 604800000

-- == read ==
if redis.call('HEXISTS', KEYS[3], ARGV[4]) == 1 then return 0 end
local meta = load_meta(KEYS[1], tonumber(ARGV[1]))
local now = max(server_time(), meta.clock + 1)

-- == decide ==
-- What went back gets a new epoch: a history that has lost its end cannot be continued, and a node that
-- had seen less than others learns of the loss by it. So do the overrides' readers.
local lost = 'unknown'
if not meta.born and string.format('%.0f', meta.epoch) == ARGV[4] then
  if tonumber(ARGV[6]) >= 0 then lost = string.format('%.0f', tonumber(ARGV[5]) - tonumber(ARGV[6])) end
  meta.epoch, meta.seq, meta.event, meta.born = tonumber(ARGV[1]), 0, NO_EVENT, true
  if meta.version ~= 0 then meta.version = meta.epoch end
end

-- == write ==
redis.call('HSET', KEYS[3], ARGV[4], lost)
redis.call('PEXPIRE', KEYS[3], LOSSES_TTL_MS)
local events = new_events(meta, ARGV[2])
add_event(events, now, 'data_lost', 0, '', '{}', meta.status, meta.status, 0, 0, 0)
meta.clock, meta.operations = now, meta.operations + 1
save_meta(KEYS[1], meta)

-- == emit ==
emit(events, KEYS[2], ARGV[3])

-- == reply ==
return 1
