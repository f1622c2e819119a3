-- settle: commit a reservation at its true cost, release it, or end its lease.
--
-- Arguments  record, how, flags (1 estimated, 2 any nonce, 4 void when unknown), nonce, fingerprint,
--            groups (count, call indexes), costs (count, unit and amount each)
-- Verdicts   SETTLED record · REPLAY record · CONFLICT record · NEED_GROUPS record · UNKNOWN · VOIDED · NOOP
-- Writes     groups, record, open leases
-- Costs      O(holds), plus the segments of each rate counter that still counts the hold
--
-- It needs no configuration: holds carry their rules, counters their shape, so any node can settle
-- what any other node, with any other configuration, reserved.

local ANY_NONCE, VOID_WHEN_UNKNOWN = 2, 4

-- What a commit charges for `amount`.
local function charge(flags, cost, amount)
  if not cost or cost < amount and has(flags, SETTLE_ADMITTED) then return amount end
  return cost
end

-- What a commit charges each hold.
local function plain_charges(record, costs)
  local holds, charges, extended = record.list, {}, false
  for i = 0, record.holds - 1 do
    local h = i * HOLD_FIELDS
    charges[i] = charge(holds[h + 2], costs[holds[h + 4]], holds[h + 6])
    extended = extended or holds[h + 5] > 0
  end
  return charges, extended
end

-- The same where an extension took from a counter again: its holds share one cost. The earlier ones
-- are filled first, the last one takes the rest.
local function shared_charges(record, costs)
  local holds, charges, names, held, last = record.list, {}, {}, {}, {}
  for i = 0, record.holds - 1 do
    local h = i * HOLD_FIELDS
    local name = string.format('%.0f/%d', holds[h + 1], holds[h + 3])
    names[i], held[name], last[name] = name, (held[name] or 0) + holds[h + 6], i
  end
  local left = {}
  for i = 0, record.holds - 1 do
    local h, name = i * HOLD_FIELDS, names[i]
    local rest = left[name] or charge(holds[h + 2], costs[holds[h + 4]], held[name])
    charges[i] = last[name] == i and rest or min(rest, holds[h + 6])
    left[name] = rest - charges[i]
  end
  return charges
end

local function charges_of(record, how, costs)
  if how ~= COMMIT then return nil end
  local charges, extended = plain_charges(record, costs)
  return extended and shared_charges(record, costs) or charges
end

local function settle_holds(record, list, how, costs)
  local still_held = record.state == OPEN_STATE
  local holds, charges, group, guess = record.list, charges_of(record, how, costs), nil, 1
  for i = 0, record.holds - 1 do
    local h = i * HOLD_FIELDS
    local number, flags, amount = holds[h + 1], holds[h + 2], holds[h + 6]
    -- Holds stand in the order of their counters: each is looked for behind the one before.
    if group ~= list[holds[h + 3] + 1] then group, guess = list[holds[h + 3] + 1], 1 end
    local since = holds[h + 5] > 0 and holds[h + 5] or record.since
    local counted, cost = amount, 0
    if has(flags, GIVEN_BACK) then
      counted, flags = 0, flags - GIVEN_BACK
    end
    if how == COMMIT then
      cost = charges[i]
    elseif how == EXPIRE and not has(flags, REFUND_ON_LEASE_END) and not has(flags, HOLDS_LEASE) then
      cost = amount
    end
    local p = find_counter(group, number, guess)
    guess = guess + 1
    local stood = false
    if p then
      if group.fresh[ordinal(p)] ~= FRESH then refresh(group, p, now, calendars and calendars[number]) end
      if cost > counted then group.need = max(group.need, lifetime(group.t, p, now)) end
      stood = settle_hold(group, p, now, since, counted, still_held and amount or 0, cost, record.bucket)
      group.dirty = true
      group.cause = how == COMMIT and 'commit' or how == RELEASE and 'release' or 'lease_end'
    end
    if not stood and amount > 0 and not has(flags, SKIPPED) then flags = flags + SKIPPED end
    if how == EXPIRE and cost < amount then
      flags, cost = flags + GIVEN_BACK, amount
    end
    holds[h + 2], holds[h + 6] = flags, cost
  end
end

local function settle(at)
  local index, how, flags, nonce, fingerprint, n
  index, how, flags, nonce, fingerprint, n, at = unpack_struct('<I2BBc4c8B', ARGV[5], at)
  local indexes, costs = {}, {}
  for i = 1, n do indexes[i], at = unpack_struct('<I2', ARGV[5], at) end
  n, at = unpack_struct('B', ARGV[5], at)
  for _ = 1, n do
    local unit, amount
    unit, amount, at = unpack_struct('<I6d', ARGV[5], at)
    costs[unit] = amount
  end

  local record = get_record(index)
  -- Whatever is not open any more has no place in the index of open leases.
  if how == EXPIRE and (not record or record.state ~= OPEN_STATE) then closed[index] = true end
  if not record or record.state == RECORDED then
    if not has(flags, VOID_WHEN_UNKNOWN) or record then return pack('B', UNKNOWN), at end
    local raw = pack(RECORD, VOID, 0, now, now, 0, now, NO_FINGERPRINT, NO_FINGERPRINT) .. pack(BODY, NO_FINGERPRINT, '\0\0\0\0', 0) .. '\0'
    put_record(index, record_header(raw), retention)
    return pack('B', VOIDED), at
  end
  if record.state == VOID then return pack('B', how == RELEASE and VOIDED or UNKNOWN), at end
  if not record.list then open_body(record) end
  if not has(flags, ANY_NONCE) and record.nonce ~= nonce then return pack('B', UNKNOWN), at end

  local state, ended = record.state, now >= record.deadline
  if how == EXPIRE and (state ~= OPEN_STATE or not ended) then return pack('B', NOOP), at end
  if state == COMMITTED or state == RELEASED then
    local same = how == COMMIT and state == COMMITTED and record.settlement == fingerprint or how == RELEASE and state == RELEASED
    return with_record(same and REPLAY or CONFLICT, record), at
  end
  if how == RELEASE and state == EXPIRED then return with_record(REPLAY, record), at end

  local list = groups_of(record, indexes)
  if not list then return with_record(NEED_GROUPS, record), at end
  -- A lease that ended cannot be released any more, only found ended; a commit is still recorded in full.
  if how == RELEASE and ended then how = EXPIRE end
  settle_holds(record, list, how, costs)
  local late = how == COMMIT and ended
  record.flags = (late and LATE or 0) + (flags % 2 == 1 and ESTIMATED or 0)
  record.state = how == COMMIT and COMMITTED or how == RELEASE and RELEASED or EXPIRED
  record.settled_at = now
  if how == COMMIT then record.settlement = fingerprint end
  record.raw = pack_record(record)
  put_record(index, record, max(record.deadline - now, 0) + retention)
  closed[index] = true
  return with_record(SETTLED, record), at
end
