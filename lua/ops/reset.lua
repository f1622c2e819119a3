-- reset: empty counters of a group.
--
-- Arguments  group, count of numbers (0 = every counter), numbers
-- Verdicts   GRANTED how many
-- Writes     the group
--
-- What reservations hold of a counter at this instant is gone with it: their settlement finds FLOOR
-- at or after their own instant, so nothing is ever given back into the emptied counter. For the
-- same reason nothing else may be taken in the same call.

local function reset_counter(group, p)
  local t = group.t
  drop_tail(group, p)
  t[p + FLOOR] = now
  t[p + TOTAL], t[p + HELD], t[p + OPEN], t[p + OPEN_HELD], t[p + CHARGED] = 0, 0, 0, 0, 0
  if t[p + FLAGS] % 4 ~= BUDGET then t[p + LAST], t[p + EDGE] = 0, 0 end
  group.fresh[ordinal(p)], group.dirty, group.cause = FRESH, true, 'reset'
end

local function reset(at)
  local index, n
  index, n, at = unpack_struct('<I2B', ARGV[5], at)
  local group, wanted, count = groups[index], {}, 0
  for _ = 1, n do
    local number
    number, at = unpack_struct('<I6', ARGV[5], at)
    wanted[number] = true
  end
  for i = 1, group.n do
    local p = HEAD_FIELDS + (i - 1) * COUNTER_FIELDS
    if n == 0 or wanted[group.t[p + NUMBER]] then
      reset_counter(group, p)
      count = count + 1
    end
  end
  return pack('<Bd', GRANTED, count), at
end
