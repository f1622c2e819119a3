-- The call: what the caller sent, decoded, and what the operations share. Needs: all of the above.
--
-- KEYS   1 meta (string) · 2 log (stream) · 3 open leases (zset: record name, deadline)
--        4 due looks (zset: group name, instant) · 5 groups (zset: group name, expiry)
--        6 standing (hash: group name + number, or `pool`; status other than normal and its beginning)
--        then one hash for each group, then one string for each record
-- ARGV   1 header: config version, retention µs, epoch to use if there is none, how many groups,
--          templates, periods and calendars follow, random stem of event ids
--        2 groups: pool-wide?, counters, keep µs each; then each counter: number, flags, warning,
--          window ms, capacity, period index (0 = none)
--        3 templates: items each; then each item: counter index (from 1, over all groups), ceiling
--        4 periods: four boundaries each; then calendars: number, period index
--        5 operations
--        6 channel
--        7 texts of the groups, each after its length

local FIXED_KEYS = 6
local GRANTED, DENIED, SHADOWED, REPLAY, MISMATCH, VOIDED, SETTLED = 0, 1, 2, 3, 4, 5, 6
local UNKNOWN, NEED_GROUPS, CONFLICT, NOOP, LEASE_ENDED, TOO_LONG = 8, 9, 10, 11, 12, 13
local DONE, STALE_CONFIG, RETRY_PERIOD = 0, 1, 2
local COMMIT, RELEASE, EXPIRE = 0, 1, 2

local version, retention, epoch, n_groups, n_templates, n_periods, n_calendars, stem = unpack_struct('<dddI2I2I2I2c16', ARGV[1])
local meta = load_meta(KEYS[1], epoch)
-- The pool's clock never stands still or goes back, so each writing call has an instant of its own.
local now = max(server_time(), meta.clock + 1)

-- Not reached: a calendar that was sent has no period for now; what depends on it cannot be decided.
local reached = true
local periods, calendars
do
  local list, at = {}, 1
  for i = 1, n_periods do
    local a, b, c, d
    a, b, c, d, at = unpack_struct('<dddd', ARGV[4], at)
    if now >= a and now < d then
      list[i] = now < b and { a, b } or now < c and { b, c } or { c, d }
    else
      reached = false
    end
  end
  periods = list
  for _ = 1, n_calendars do
    local number, index
    number, index, at = unpack_struct('<I6B', ARGV[4], at)
    calendars = calendars or {}
    calendars[number] = list[index]
  end
end

-- Groups by call index, and for each configured counter its group and base.
local groups, slot_group, slot_base
-- Units that reserves of this call have taken and that are not in the counters yet (see `take_all`), by
-- slot; the slots where there are any.
local taken, touched, n_touched = nil, {}, 0

-- The format of so many counters in ARGV[2]; most groups of a call have the same.
local specs_formats = {}

local function specs_format(count)
  local format = specs_formats[count]
  if not format then
    format = '<' .. rep('I6BI2I4dB', count)
    specs_formats[count] = format
  end
  return format
end

local function load_groups()
  local heads = { unpack_struct('<' .. rep('BBd', n_groups), ARGV[2]) }
  local at, index, total = heads[#heads], 0, 0
  for g = 1, n_groups do total = total + heads[g * 3 - 1] end
  groups, slot_group, slot_base, taken = list_of(n_groups), list_of(total), list_of(total), list_of(total)
  for g = 1, n_groups do
    local count = heads[g * 3 - 1]
    local group = load_group(KEYS[FIXED_KEYS + g], g, heads[g * 3 - 2] == 1, heads[g * 3])
    groups[g] = group
    if count > 0 then
      local t = group.t
      local specs = { unpack_struct(specs_format(count), ARGV[2], at) }
      at = specs[#specs]
      for s = 0, (count - 1) * 6, 6 do
        local number, period = specs[s + 1], specs[s + 6]
        local p = find_counter(group, number, s / 6 + 1)
          or add_counter(group, number, specs[s + 2], specs[s + 3], specs[s + 4], specs[s + 5], now)
        t[p + FLAGS], t[p + WARNING], t[p + CAPACITY] = specs[s + 2], specs[s + 3], specs[s + 5]
        refresh(group, p, now, periods[period])
        index = index + 1
        slot_group[index], slot_base[index] = group, p
      end
    end
  end
end

-- Templates: n items, as one flat list of slot (its group and base are in `slot_group` and
-- `slot_base`) and ceiling; and the formats of what operations say and are answered of them.
local templates

local function load_templates()
  if n_templates == 0 then return end
  local counts = { string.byte(ARGV[3], 1, n_templates) }
  local at = n_templates + 1
  templates = counts
  for i = 1, n_templates do
    local n = counts[i]
    local items = { unpack_struct('<' .. rep('I2d', n), ARGV[3], at) }
    at = items[#items]
    local costs = rep('d', n)
    templates[i] = { n = n, items = items, costs = costs, waits = '<' .. costs, reserve = '<I2dI2c0' .. costs }
  end
end

-- Writes what was taken into the counters. Must come before anything else looks at them.
local pending_lease, pending_bucket, pending_need

local function settle_takes()
  for i = 1, n_touched do
    local slot = touched[i]
    local group, amount = slot_group[slot], taken[slot]
    take(group, slot_base[slot], now, amount, amount, pending_bucket)
    taken[slot] = 0
    group.dirty, group.cause = true, 'reserve'
    if pending_need > group.need then group.need = pending_need end
  end
  n_touched = 0
end

-- Can these costs (v[first] …) be granted now? Returns denied?, and waits (a list of µs, 0 = no
-- obstacle, -1 = never) when any limit is in the way, shadow limits included.
local function decide(template, v, first)
  local denied, waits, items = false, nil, template.items
  for k = 1, template.n do
    local cost = v[first + k - 1]
    if cost ~= 0 then
      local slot = items[k * 2 - 1]
      local t, p = slot_group[slot].t, slot_base[slot]
      local total = t[p + TOTAL] + taken[slot] + cost
      if total > items[k * 2] then
        waits = waits or {}
        if not has(t[p + FLAGS], SHADOW) or total > MOST then denied = true end
      end
    end
  end
  if waits then
    settle_takes()
    for k = 1, template.n do
      local slot = items[k * 2 - 1]
      waits[k] = wait_for(slot_group[slot], slot_base[slot], now, v[first + k - 1], items[k * 2])
    end
  end
  return denied, waits
end

-- A small request that was refused exhausts the counter that refused it.
local function note_refusal(template, v, first, waits)
  for k = 1, template.n do
    local slot = template.items[k * 2 - 1]
    local group, p = slot_group[slot], slot_base[slot]
    if waits[k] ~= 0 and refusal_exhausts(group.t, p, v[first + k - 1]) then
      group.refused = group.refused or {}
      group.refused[p] = true
    end
  end
end

local function pack_waits(template, waits)
  return pack(template.waits, unpack(waits, 1, template.n))
end

-- Takes and holds these costs. Reserves with the same lease are of the same kind and of the same
-- instant, so their units are only added up, and reach the counters together: most of a reserve's time
-- would go there.
local function hold_all(template, v, first, lease, bucket)
  if lease ~= pending_lease then
    settle_takes()
    pending_lease, pending_bucket, pending_need = lease, bucket, lease + retention
  end
  local items = template.items
  for k = 1, template.n do
    local slot, cost = items[k * 2 - 1], v[first + k - 1]
    local before = taken[slot]
    if before == 0 then
      n_touched = n_touched + 1
      touched[n_touched] = slot
    end
    taken[slot] = before + cost
  end
end

-- Takes these costs from every counter of the template, `hold` or not.
local function take_all(template, v, first, hold, bucket, need, cause)
  for k = 1, template.n do
    local slot, cost = template.items[k * 2 - 1], v[first + k - 1]
    local group = slot_group[slot]
    take(group, slot_base[slot], now, cost, hold and cost or 0, bucket)
    group.dirty, group.cause = true, cause
    if need > group.need then group.need = need end
  end
end

-- Records by call index: their bytes as they are stored or will be (false = absent), read all at once
-- when the first is asked for; those that were looked into; and what is to be written.
local KEEP_TTL = 'keep'
local n_records = #KEYS - FIXED_KEYS - n_groups
local stored, loaded, ttls, opened, closed = nil, {}, {}, {}, {}

local function stored_record(index)
  stored = stored or redis.call('MGET', unpack(KEYS, FIXED_KEYS + n_groups + 1))
  return stored[index]
end

local function get_record(index)
  local record = loaded[index]
  if record == nil then
    local raw = stored_record(index)
    record = raw and record_header(raw) or false
    loaded[index] = record
  end
  return record
end

-- Has bytes written. `ttl` in µs; without it the record keeps what it has.
local function store_record(index, raw, ttl)
  stored[index] = raw
  if ttl then ttls[index] = decimal(ceil(ttl / 1000)) elseif not ttls[index] then ttls[index] = KEEP_TTL end
end

local function put_record(index, record, ttl)
  loaded[index] = record
  store_record(index, record.raw, ttl)
end

local function with_record(verdict, record)
  return pack('<BI2', verdict, #record.raw) .. record.raw
end

-- The call's groups in the order of the record's, or nil when the caller did not name them all.
local function groups_of(record, indexes)
  if #indexes ~= record.groups then return nil end
  local list = {}
  for i = 1, record.groups do
    local group = groups[indexes[i]]
    local from = record.groups_at + (i - 1) * GROUP_NAME_BYTES
    if group.name ~= string.sub(record.raw, from, from + GROUP_NAME_BYTES - 1) then return nil end
    list[i] = group
  end
  return list
end
