-- Statuses: of counters from their figures, of the pool from its pool-wide counters. Twin:
-- src/store/memory/status.rs. Needs: layout, group.

local NORMAL, WARNED, EXHAUSTED = 0, 1, 2
local POOL_NORMAL, POOL_WARNING, POOL_RATE_LIMITED, POOL_QUOTA_EXCEEDED = 0, 1, 3, 4

-- Leaving takes five points less than entering, so that a counter that hovers does not flicker; an
-- empty one leaves in any case. Concurrency leaves `exhausted` as soon as one unit is free. A limit
-- that became a shadow stands in no status any more.
local function level(t, p, refused)
  if has(t[p + FLAGS], SHADOW) then return NORMAL end
  local total, capacity, status = t[p + TOTAL], t[p + CAPACITY], t[p + STATUS]
  if total >= capacity or refused then return EXHAUSTED end
  if status == EXHAUSTED and t[p + FLAGS] % 4 ~= CONCURRENCY and total * 100 >= capacity * 95 then return EXHAUSTED end
  if total * 1000 >= capacity * t[p + WARNING] then return WARNED end
  if status ~= NORMAL and total > 0 and total * 1000 >= capacity * (t[p + WARNING] - 50) then return WARNED end
  return NORMAL
end

-- A refusal exhausts a counter only when the request was small (5 % of the capacity): one big
-- request that does not fit says nothing about the others, nor does one whose priority may fill
-- only a share. A concurrency counter is exhausted by its figures alone.
local function refusal_exhausts(t, p, cost)
  local capacity = t[p + CAPACITY]
  return t[p + FLAGS] % 4 ~= CONCURRENCY and cost * 20 <= capacity and t[p + TOTAL] + cost > capacity
end

-- Re-evaluates the group's counters that were brought to the present. `refused` names (by base)
-- those that refused a small request. Returns what changed as a flat list (base, from, to …), or nil.
local function evaluate(group, refused)
  local t, changed = group.t, nil
  for i = 1, group.n do
    local p = HEAD_FIELDS + (i - 1) * COUNTER_FIELDS
    if group.fresh[i] == FRESH then
      local to = level(t, p, refused and refused[p])
      local from = t[p + STATUS]
      if to ~= from then
        t[p + STATUS], changed = to, changed or {}
        local n = #changed
        changed[n + 1], changed[n + 2], changed[n + 3] = p, from, to
      end
    end
  end
  return changed
end

-- The next instant at which time alone may change a status of the group; 0 when none can. Leases
-- are left out: their end is an operation of its own. Where nothing is counted, nothing will leave.
local function next_look(group)
  local t, look = group.t, 0
  for i = 1, group.n do
    local p = HEAD_FIELDS + (i - 1) * COUNTER_FIELDS
    local kind = t[p + FLAGS] % 4
    if t[p + STATUS] ~= NORMAL and kind ~= CONCURRENCY and t[p + TOTAL] > 0 then
      local at = t[p + EDGE]
      if kind == RATE and at == 0 then at = t[p + LAST] + t[p + WINDOW] * 1000 end
      if look == 0 or at < look then look = at end
    end
  end
  return look
end

-- What the pool-wide group's statuses mean for the pool.
local function pool_level(group)
  local t, worst = group.t, POOL_NORMAL
  for i = 1, group.n do
    local p = HEAD_FIELDS + (i - 1) * COUNTER_FIELDS
    local status = t[p + STATUS]
    if status == EXHAUSTED then
      worst = max(worst, t[p + FLAGS] % 4 == BUDGET and POOL_QUOTA_EXCEEDED or POOL_RATE_LIMITED)
    elseif status == WARNED then
      worst = max(worst, POOL_WARNING)
    end
  end
  return worst
end
