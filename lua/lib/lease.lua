-- Concurrency counters: what is open, by the time at which its lease ends. Twin:
-- src/store/memory/lease.rs. Needs: layout, group.
--
-- The buckets only serve to say when room will come back; TOTAL alone decides.

-- Deadlines are rounded up to a power of two of about a sixteenth of the lease (at least 131 ms), so
-- that a counter keeps a few dozen buckets however many reservations are open.
local function lease_bucket(deadline, lease)
  local grain = 131072
  while grain * 16 < lease do grain = grain * 2 end
  return ceil(deadline / grain) * grain
end

local function set_edges(t, p, tail)
  local some = tail.first <= tail.last
  t[p + EDGE] = some and tail[tail.first] or 0
  t[p + LAST] = some and tail[tail.last - 2] or 0
  tail.dirty = true
end

local function take_lease(group, p, bucket, amount)
  local t = group.t
  t[p + TOTAL], t[p + HELD], t[p + CHARGED] = t[p + TOTAL] + amount, t[p + HELD] + amount, (t[p + CHARGED] + amount) % (MOST + 1)
  local tail = tail_of(group, p)
  local at = tail.first
  while at < tail.last and tail[at] < bucket do at = at + SEGMENT_FIELDS end
  if at < tail.last and tail[at] == bucket then
    tail[at + 1] = tail[at + 1] + amount
  else
    for i = tail.last, at, -1 do tail[i + SEGMENT_FIELDS] = tail[i] end
    tail[at], tail[at + 1], tail[at + 2] = bucket, amount, 0
    tail.last = tail.last + SEGMENT_FIELDS
  end
  set_edges(t, p, tail)
end

local function give_back_lease(group, p, bucket, amount)
  local t = group.t
  t[p + TOTAL], t[p + HELD] = t[p + TOTAL] - amount, t[p + HELD] - amount
  local tail = tail_of(group, p)
  for at = tail.first, tail.last, SEGMENT_FIELDS do
    if tail[at] == bucket then
      tail[at + 1] = tail[at + 1] - amount
      if tail[at + 1] <= 0 then
        for i = at, tail.last - SEGMENT_FIELDS do tail[i] = tail[i + SEGMENT_FIELDS] end
        tail.last = tail.last - SEGMENT_FIELDS
      end
      break
    end
  end
  set_edges(t, p, tail)
end

-- µs until leases over `excess` units have ended: an upper bound, as most are settled before.
local function wait_lease(group, p, now, excess)
  local tail = tail_of(group, p)
  for at = tail.first, tail.last, SEGMENT_FIELDS do
    excess = excess - tail[at + 1]
    if excess <= 0 then return max(tail[at] - now, 1) end
  end
  return max(group.t[p + LAST] - now, 1)
end
