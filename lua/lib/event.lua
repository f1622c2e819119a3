-- Status events: one log entry for each change, one message for each call. Needs: layout, meta.

local LOG_LENGTH, LOG_TTL_MS = 1000, 86400000

-- Begins the list of this call's events. `stem` is random text of 16 characters from the caller.
local function new_events(meta, stem)
  return { meta = meta, stem = stem, n = 0 }
end

-- Adds one change. `scope` is the group's canonical text, a JSON object. The pool itself is number 0.
local function add_event(events, at, cause, number, group_name, scope, from, to, total, held, capacity)
  local meta = events.meta
  local n = events.n + 1
  local previous, event = meta.event, string.format('%s%04x', events.stem, n)
  meta.seq, meta.event, events.n = meta.seq + 1, event, n
  events[n] = { meta.seq, string.format(
    '{"epoch":%.0f,"seq":%.0f,"id":"%s","prev":"%s","at":%.0f,"cause":"%s","number":%.0f,"group":"%s","scope":%s,"from":%d,"to":%d,"total":%.0f,"held":%.0f,"capacity":%.0f}',
    meta.epoch, meta.seq, event, previous, at, cause, number, group_name, scope, from, to, total, held, capacity) }
end

-- The call's last act: append, then publish everything in one message. A log of another epoch is
-- dropped first, as its sequence cannot be continued.
local function emit(events, key, channel)
  if events.meta.born then redis.call('DEL', key) end
  if events.n == 0 then return end
  local payloads = {}
  for i = 1, events.n do
    local seq, payload = events[i][1], events[i][2]
    redis.call('XADD', key, 'MAXLEN', '~', LOG_LENGTH, string.format('%.0f-0', seq), 'e', payload)
    payloads[i] = payload
  end
  redis.call('PEXPIRE', key, LOG_TTL_MS)
  redis.call(PUBLISH, channel, '[' .. table.concat(payloads, ',') .. ']')
end
