-- touch: bring a group to the present, so that changes by time alone are seen without traffic.
--
-- Arguments  group
-- Verdicts   NOOP
-- Writes     the group and its entry in the list of due looks, when its look is due
--
-- Idempotent: any node may do it at any time.

local function touch(at)
  local index
  index, at = unpack_struct('<I2', ARGV[5], at)
  local group = groups[index]
  local t = group.t
  for i = 1, group.n do
    local p = HEAD_FIELDS + (i - 1) * COUNTER_FIELDS
    refresh(group, p, now, calendars and calendars[t[p + NUMBER]])
  end
  if t[2] <= now then
    t[2], group.dirty, group.looked = 0, true, true
  end
  return pack('B', NOOP), at
end
