-- A counter group: load, find a counter, its segments, save. The only file that knows the hash's
-- fields and the rule for its TTL. Needs: layout.
--
-- In memory a group is { key, t = head and counters as one flat list, n = counters, tails, … }; a
-- counter is named by its base `p`: its fields are t[p + NUMBER] … t[p + CHARGED]. `fresh` says which
-- were brought to the present in this call, by the ordinal of the counter.

local function load_group(key, index, pool_wide, need)
  local raw = redis.call('HGET', key, 'h')
  local n, t = 0, nil
  if raw then
    n = (#raw - HEAD_BYTES) / COUNTER_BYTES
    t = { unpack_struct(group_format(n), raw) }
  end
  -- Every field that is ever set stands here, so that the table never grows.
  return { key = key, index = index, pool_wide = pool_wide, n = n, t = t or { 0, 0 }, created = not raw, need = need,
    name = string.sub(key, -GROUP_NAME_BYTES), tails = {}, fresh = list_of(n), dirty = false, cause = false, refused = false, looked = false }
end

local function ordinal(p)
  return (p - HEAD_FIELDS) / COUNTER_FIELDS + 1
end

-- Base of the counter with that number, or nil. `guess` is tried first.
local function find_counter(group, number, guess)
  local t, n = group.t, group.n
  if guess <= n then
    local p = HEAD_FIELDS + (guess - 1) * COUNTER_FIELDS
    if t[p + NUMBER] == number then return p end
  end
  for i = 1, n do
    local p = HEAD_FIELDS + (i - 1) * COUNTER_FIELDS
    if t[p + NUMBER] == number then return p end
  end
end

-- Appends an empty counter. Whatever was taken before `now` is not in it.
local function add_counter(group, number, flags, warning, window, capacity, now)
  local t, p = group.t, HEAD_FIELDS + group.n * COUNTER_FIELDS
  t[p + NUMBER], t[p + FLAGS], t[p + STATUS], t[p + WARNING], t[p + WINDOW] = number, flags, 0, warning, window
  t[p + FLOOR], t[p + CAPACITY] = now - 1, capacity
  for field = TOTAL, CHARGED do t[p + field] = 0 end
  group.n = group.n + 1
  return p
end

-- Segments of a counter: a flat list with `first` and `last` (indexes of the first field of the
-- oldest segment, of the last field of the newest). Read once per call.
local function tail_of(group, p)
  local number = group.t[p + NUMBER]
  local tail = group.tails[number]
  if not tail then
    local raw = group.t[p + EDGE] > 0 and redis.call('HGET', group.key, decimal(number))
    if raw then
      tail = { unpack_struct('<' .. rep('d', #raw / 8), raw) }
      tail.last = #raw / 8
    else
      tail = { last = 0 }
    end
    tail.first = 1
    group.tails[number] = tail
  end
  return tail
end

local function drop_tail(group, p)
  if group.t[p + EDGE] > 0 or group.tails[group.t[p + NUMBER]] then
    group.tails[group.t[p + NUMBER]] = { first = 1, last = 0, dirty = true }
  end
end

-- The key must outlive every counter in it and every record that points at it, so that a settlement
-- always finds what it settles. It is prolonged in steps of a quarter, not on every call.
local function expiry(group, now)
  local needed = now + group.need
  if group.t[1] < needed then
    group.t[1] = needed + ceil(group.need / 4)
    return group.t[1]
  end
end

local function save_group(group, now, text)
  local t = group.t
  local prolonged = expiry(group, now)
  local head = pack(group_format(group.n), unpack(t, 1, HEAD_FIELDS + group.n * COUNTER_FIELDS))
  if not group.created and next(group.tails) == nil then
    redis.call('HSET', group.key, 'h', head)
  else
    local args = { 'HSET', group.key, 'h', head }
    if group.created then
      args[#args + 1], args[#args + 2] = 't', text
    end
    for number, tail in pairs(group.tails) do
      if tail.dirty then
        local field = decimal(number)
        if tail.first > tail.last then
          redis.call('HDEL', group.key, field)
        else
          args[#args + 1] = field
          args[#args + 1] = pack('<' .. rep('d', tail.last - tail.first + 1), unpack(tail, tail.first, tail.last))
        end
      end
    end
    redis.call(unpack(args))
  end
  if prolonged then redis.call('PEXPIREAT', group.key, decimal(ceil(prolonged / 1000))) end
  return prolonged
end
