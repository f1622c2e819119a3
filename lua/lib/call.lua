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
local periods, calendars
local reached = true
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
local groups, slot_group, slot_base = {}, {}, {}

local function load_groups()
  local heads = { unpack_struct('<' .. rep('BBd', n_groups), ARGV[2]) }
  local at, index = heads[#heads], 0
  for g = 1, n_groups do
    local pool_wide, count, keep = heads[g * 3 - 2], heads[g * 3 - 1], heads[g * 3]
    local group = load_group(KEYS[FIXED_KEYS + g], pool_wide == 1)
    group.need, group.index = keep, g
    groups[g] = group
    if count > 0 then
      local t = group.t
      local specs = { unpack_struct('<' .. rep('I6BI2I4dB', count), ARGV[2], at) }
      at = specs[#specs]
      for i = 1, count do
        local s = (i - 1) * 6
        local number, period = specs[s + 1], specs[s + 6]
        local p = find_counter(group, number, i)
          or add_counter(group, number, specs[s + 2], specs[s + 3], specs[s + 4], specs[s + 5], now)
        t[p + FLAGS], t[p + WARNING], t[p + CAPACITY] = specs[s + 2], specs[s + 3], specs[s + 5]
        refresh(group, p, now, periods[period])
        index = index + 1
        slot_group[index], slot_base[index] = group, p
      end
    end
  end
end

-- Templates: n items, their counters' groups and bases, their ceilings, the format of their costs.
local templates = {}

local function load_templates()
  if n_templates == 0 then return end
  local counts = { string.byte(ARGV[3], 1, n_templates) }
  local at = n_templates + 1
  for i = 1, n_templates do
    local n = counts[i]
    local raw = { unpack_struct('<' .. rep('I2d', n), ARGV[3], at) }
    at = raw[#raw]
    local template = { n = n, group = {}, base = {}, ceiling = {}, shadow = {}, costs = rep('d', n) }
    for k = 1, n do
      local slot = raw[k * 2 - 1]
      local group, p = slot_group[slot], slot_base[slot]
      template.group[k], template.base[k], template.ceiling[k] = group, p, raw[k * 2]
      template.shadow[k] = has(group.t[p + FLAGS], SHADOW)
    end
    templates[i] = template
  end
end

-- Can these costs (v[first] …) be granted now? Returns denied?, and waits (a list of µs, 0 = no
-- obstacle, -1 = never) when any limit is in the way, shadow limits included.
local function decide(template, v, first)
  local denied, waits = false, nil
  for k = 1, template.n do
    local cost = v[first + k - 1]
    if cost ~= 0 then
      local total = template.group[k].t[template.base[k] + TOTAL] + cost
      if total > template.ceiling[k] then
        waits = waits or {}
        if not template.shadow[k] or total > MOST then denied = true end
      end
    end
  end
  if waits then
    for k = 1, template.n do
      waits[k] = wait_for(template.group[k], template.base[k], now, v[first + k - 1], template.ceiling[k])
    end
  end
  return denied, waits
end

-- A small request that was refused exhausts the counter that refused it.
local function note_refusal(template, v, first, waits)
  for k = 1, template.n do
    local group, p = template.group[k], template.base[k]
    if waits[k] ~= 0 and refusal_exhausts(group.t, p, v[first + k - 1]) then
      group.refused = group.refused or {}
      group.refused[p] = true
    end
  end
end

local function pack_waits(template, waits)
  return pack('<' .. template.costs, unpack(waits, 1, template.n))
end

-- Takes these costs from every counter of the template.
local function take_all(template, v, first, hold, bucket, need, cause)
  for k = 1, template.n do
    local group, cost = template.group[k], v[first + k - 1]
    take(group, template.base[k], now, cost, hold and cost or 0, bucket)
    group.dirty, group.cause = true, cause
    if need > group.need then group.need = need end
  end
end

-- Records by call index; `loaded` keeps them for later operations of the same call.
local loaded, written, opened, closed = {}, {}, {}, {}

local function record_key(index)
  return KEYS[FIXED_KEYS + n_groups + index]
end

local function get_record(index)
  local record = loaded[index]
  if record == nil then
    local raw = redis.call('GET', record_key(index))
    record = raw and record_header(raw) or false
    loaded[index] = record
  end
  return record
end

local function put_record(index, record, ttl)
  record.ttl, loaded[index], written[index] = ttl or record.ttl, record, true
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
    if string.sub(group.key, -GROUP_NAME_BYTES) ~= string.sub(record.raw, from, from + GROUP_NAME_BYTES - 1) then return nil end
    list[i] = group
  end
  return list
end
