-- One counter of any kind: bring to the present, ask, take, settle. Needs: layout, group, rate, lease.

-- Turns a budget's period when `now` is not in it.
local function refresh_budget(t, p, from, to)
  if t[p + EDGE] > 0 then t[p + FLOOR] = max(t[p + FLOOR], from - 1) end
  t[p + LAST], t[p + EDGE], t[p + TOTAL], t[p + HELD] = from, to, 0, 0
end

-- Once per counter and call. `period` is { start, end } of a budget's present period. A caller whose
-- configuration does not know the limit any more has none: the counter is then empty from its end on.
local function refresh(group, p, now, period)
  local at = ordinal(p)
  if group.fresh[at] == FRESH then return true end
  local t = group.t
  local kind = t[p + FLAGS] % 4
  if kind == RATE then
    refresh_rate(group, p, now)
  elseif kind == BUDGET and (now >= t[p + EDGE] or now < t[p + LAST]) then
    if period then
      refresh_budget(t, p, period[1], period[2])
    elseif t[p + EDGE] > 0 and now >= t[p + EDGE] then
      refresh_budget(t, p, t[p + EDGE], t[p + EDGE])
    else
      return false
    end
  end
  group.fresh[at] = FRESH
  return true
end

-- µs until `cost` fits under `ceiling` if nobody else comes: 0 = now, -1 = never.
local function wait_for(group, p, now, cost, ceiling)
  if cost == 0 then return 0 end
  local t = group.t
  local excess = t[p + TOTAL] + cost - ceiling
  if excess <= 0 then return 0 end
  if cost > ceiling then return -1 end
  local kind = t[p + FLAGS] % 4
  if kind == RATE then return wait_rate(group, p, now, excess) end
  if kind == BUDGET then return t[p + EDGE] - now end
  return wait_lease(group, p, now, excess)
end

-- Adds units, `held` of them held. Leases name the bucket in which they end.
local function take(group, p, now, amount, held, bucket)
  local t = group.t
  if held == 0 then amount = min(amount, MOST - t[p + TOTAL]) end
  if amount == 0 then return end
  local kind = t[p + FLAGS] % 4
  if kind == RATE then
    take_rate(group, p, now, amount, held)
  elseif kind == BUDGET then
    t[p + TOTAL], t[p + HELD], t[p + CHARGED] = t[p + TOTAL] + amount, t[p + HELD] + held, (t[p + CHARGED] + amount) % (MOST + 1)
  else
    take_lease(group, p, bucket, amount)
  end
end

-- Settles one hold of `amount` taken at `since` to `cost`; `held` is what of it still counts as held.
-- Gives back only where the hold still stands; an overrun is charged now. True when the hold was
-- still in the counter, or left it by time alone; false when a reset took it away.
local function settle_hold(group, p, now, since, amount, held, cost, bucket)
  local t = group.t
  local kind = t[p + FLAGS] % 4
  if kind == CONCURRENCY then
    if since <= t[p + FLOOR] then return held == 0 end
    if held > 0 then give_back_lease(group, p, bucket, held) end
    return true
  end
  local stands, back = since > t[p + FLOOR], max(amount - cost, 0)
  if stands and (held > 0 or back > 0) then
    if kind == RATE then
      give_back_rate(group, p, since, back, held)
    else
      t[p + TOTAL], t[p + HELD], t[p + CHARGED] = t[p + TOTAL] - back, t[p + HELD] - held, (t[p + CHARGED] - back) % (MOST + 1)
    end
  end
  if cost > amount then take(group, p, now, cost - amount, 0) end
  if stands then return true end
  if kind == RATE then return since + t[p + WINDOW] * 1000 <= now end
  return since < t[p + LAST]
end

-- µs for which the counter needs what is added to it now.
local function lifetime(t, p, now)
  local kind = t[p + FLAGS] % 4
  if kind == RATE then return t[p + WINDOW] * 1000 end
  if kind == BUDGET then return max(t[p + EDGE] - now, 0) end
  return 0
end

-- Instant at which the counter is whole again if nothing more comes; 0 when it is.
local function whole_at(t, p)
  if t[p + TOTAL] <= 0 then return 0 end
  local kind = t[p + FLAGS] % 4
  if kind == RATE then return t[p + LAST] + t[p + WINDOW] * 1000 end
  if kind == BUDGET then return t[p + EDGE] end
  return t[p + LAST]
end
