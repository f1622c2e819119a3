-- What a call writes, in order: groups, records, indexes. Needs: call, status, event.

-- Is there a text for each group? To be asked before anything is written.
local function texts_fit()
  local texts, at = ARGV[7] or '', 1
  for _ = 1, n_groups do
    local low, high = string.byte(texts, at, at + 1)
    if not high then return false end
    at = at + 2 + low + high * 256
  end
  return at == #texts + 1
end

-- Canonical text of the group with that call index.
local function text_of(index)
  local at, text = 1, ''
  for _ = 1, index do text, at = unpack_struct('<I2c0', ARGV[7], at) end
  return text
end

local function scope_of(group)
  local text = text_of(group.index)
  if text == '' then text = redis.call('HGET', group.key, 't') or '{}' end
  return text
end

-- Keeps the list of what is not normal, with the status and the instant at which it began: together
-- they name an episode.
local function stand(field, status)
  if status == NORMAL then
    redis.call('HDEL', KEYS[6], field)
  else
    redis.call('HSET', KEYS[6], field, string.format('%d %d', status, now))
  end
end

-- A group whose key is gone stands in no status any more.
local function forget_standing(name)
  local fields = redis.call('HKEYS', KEYS[6])
  for i = 1, #fields do
    if string.sub(fields[i], 1, GROUP_NAME_BYTES) == name then redis.call('HDEL', KEYS[6], fields[i]) end
  end
end

-- Adds an event for each counter of the group whose status changed, and keeps the standing list.
local function change_statuses(group, events)
  local changed = evaluate(group, group.refused)
  if not changed then return false end
  local t, scope = group.t, nil
  local name = group.name
  for i = 1, #changed, 3 do
    local p, from, to = changed[i], changed[i + 1], changed[i + 2]
    local number = t[p + NUMBER]
    local field = name .. decimal(number)
    stand(field, to)
    if not has(t[p + FLAGS], SILENT) then
      scope = scope or scope_of(group)
      add_event(events, now, group.cause or group.refused and 'reserve' or 'time', number, name, scope, from, to, t[p + TOTAL], t[p + HELD], t[p + CAPACITY])
    end
  end
  return true
end

-- The pool's own status follows its pool-wide counters.
local function change_pool_status(group, events)
  local to = pool_level(group)
  if to ~= meta.status then
    local from = meta.status
    meta.status = to
    stand('pool', to)
    add_event(events, now, group.cause or group.refused and 'reserve' or 'time', 0, '', '{}', from, to, 0, 0, 0)
  end
end

-- A look moves only to an earlier instant, unless it was just taken. A group that was looked at and
-- has gone, or needs no further look, leaves the list of due looks.
local function schedule(group, name)
  local look = next_look(group)
  if look ~= 0 and (group.t[2] == 0 or look < group.t[2]) then
    redis.call('ZADD', KEYS[4], decimal(look), name)
    group.t[2] = look
  elseif look == 0 and group.looked then
    redis.call('ZREM', KEYS[4], name)
  end
end

local function write_group(group)
  local name = group.name
  schedule(group, name)
  if group.n > 0 then
    local prolonged = save_group(group, now, group.created and text_of(group.index))
    if prolonged then redis.call('ZADD', KEYS[5], decimal(prolonged), name) end
  else
    forget_standing(name)
  end
end

local function write_groups(events)
  local wrote = false
  for g = 1, n_groups do
    local group = groups[g]
    if group.dirty or group.refused then
      local changed = change_statuses(group, events)
      if (changed or group.n == 0) and group.pool_wide then change_pool_status(group, events) end
      if changed or group.dirty then
        write_group(group)
        wrote = true
      end
    end
  end
  return wrote
end

-- One SET for each record, one ZADD and one ZREM for all of them.
local function write_records()
  local wrote, add, n_add, remove = false, { 'ZADD', KEYS[3] }, 2, { 'ZREM', KEYS[3] }
  for index = 1, n_records do
    local ttl = ttls[index]
    if ttl then
      local key = KEYS[FIXED_KEYS + n_groups + index]
      if ttl == KEEP_TTL then
        redis.call('SET', key, stored[index], 'KEEPTTL')
      else
        redis.call('SET', key, stored[index], 'PX', ttl)
      end
      wrote = true
    end
    -- An entry of the index may have to go although its record is not there to be written.
    if closed[index] then
      remove[#remove + 1] = string.sub(KEYS[FIXED_KEYS + n_groups + index], -GROUP_NAME_BYTES)
    elseif opened[index] then
      add[n_add + 1], add[n_add + 2] = opened[index], string.sub(KEYS[FIXED_KEYS + n_groups + index], -GROUP_NAME_BYTES)
      n_add = n_add + 2
    end
  end
  if n_add > 2 then redis.call(unpack(add)) end
  if #remove > 2 then redis.call(unpack(remove)) end
  return wrote
end
