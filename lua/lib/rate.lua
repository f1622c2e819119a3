-- Rate counters: the segment log. Twin: src/store/memory/rate.rs. Needs: layout, group.
--
-- Amounts sit in segments dated by the *last* admission in them; a segment leaves as a whole when
-- that instant is a window old, so no interval of the window's length ever holds more than was
-- checked. Segments partition time, so the first segment dated at or after an instant is the very
-- one that holds what was taken then, unless that instant is at or before FLOOR.

-- Segments are cut at most this often per window, and only once they hold 1/32 of the capacity or
-- are a quarter of a window old: at most 37 in normal use, 129 in the worst case.
local TICKS, SHARE, QUARTERS = 128, 32, 4

local function refresh_rate(group, p, now)
  local t = group.t
  local window, last = t[p + WINDOW] * 1000, t[p + LAST]
  if last + window <= now then
    if t[p + TOTAL] ~= 0 or t[p + EDGE] ~= 0 then
      drop_tail(group, p)
      t[p + FLOOR] = max(t[p + FLOOR], last)
      t[p + TOTAL], t[p + HELD], t[p + OPEN], t[p + OPEN_HELD], t[p + EDGE] = 0, 0, 0, 0, 0
    end
  elseif t[p + EDGE] > 0 and t[p + EDGE] <= now then
    local tail = tail_of(group, p)
    local at = tail.first
    while at < tail.last and tail[at] + window <= now do
      t[p + TOTAL], t[p + HELD] = t[p + TOTAL] - tail[at + 1], t[p + HELD] - tail[at + 2]
      t[p + FLOOR] = max(t[p + FLOOR], tail[at])
      at = at + SEGMENT_FIELDS
    end
    tail.first, tail.dirty = at, true
    t[p + EDGE] = at < tail.last and tail[at] + window or 0
  end
end

-- Closes the open segment when it is due, before something is added to it.
local function cut_rate(group, p, now)
  local t = group.t
  local open = t[p + OPEN]
  if open > 0 then
    local window, last = t[p + WINDOW] * 1000, t[p + LAST]
    local tick, quarter = window / TICKS, window / QUARTERS
    if floor(now / tick) > floor(last / tick)
      and (open * SHARE >= t[p + CAPACITY] or floor(now / quarter) > floor(last / quarter)) then
      local tail = tail_of(group, p)
      local at = tail.last
      tail[at + 1], tail[at + 2], tail[at + 3] = last, open, t[p + OPEN_HELD]
      tail.last, tail.dirty = at + SEGMENT_FIELDS, true
      t[p + OPEN], t[p + OPEN_HELD] = 0, 0
      if t[p + EDGE] == 0 then t[p + EDGE] = last + window end
    end
  end
end

local function take_rate(group, p, now, amount, held)
  local t = group.t
  -- What was taken earlier in the same call is of the same instant: nothing is due.
  if t[p + LAST] ~= now then cut_rate(group, p, now) end
  t[p + TOTAL], t[p + HELD] = t[p + TOTAL] + amount, t[p + HELD] + held
  t[p + OPEN], t[p + OPEN_HELD] = t[p + OPEN] + amount, t[p + OPEN_HELD] + held
  t[p + LAST], t[p + CHARGED] = now, (t[p + CHARGED] + amount) % (MOST + 1)
end

-- Gives back `amount` and un-holds `held` of what was taken at `since`.
local function give_back_rate(group, p, since, amount, held)
  local t = group.t
  t[p + TOTAL], t[p + HELD], t[p + CHARGED] = t[p + TOTAL] - amount, t[p + HELD] - held, (t[p + CHARGED] - amount) % (MOST + 1)
  if t[p + EDGE] > 0 then
    local tail = tail_of(group, p)
    for at = tail.first, tail.last, SEGMENT_FIELDS do
      if tail[at] >= since then
        tail[at + 1], tail[at + 2], tail.dirty = tail[at + 1] - amount, tail[at + 2] - held, true
        return
      end
    end
  end
  t[p + OPEN], t[p + OPEN_HELD] = t[p + OPEN] - amount, t[p + OPEN_HELD] - held
end

-- µs until `excess` units have left.
local function wait_rate(group, p, now, excess)
  local t = group.t
  local window = t[p + WINDOW] * 1000
  if t[p + EDGE] > 0 then
    local tail = tail_of(group, p)
    for at = tail.first, tail.last, SEGMENT_FIELDS do
      excess = excess - tail[at + 1]
      if excess <= 0 then return tail[at] + window - now end
    end
  end
  return t[p + LAST] + window - now
end
