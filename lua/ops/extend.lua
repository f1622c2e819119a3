-- extend: prolong a lease, and optionally take more for the same reservation.
--
-- Arguments  record, lease µs, nonce, attempt, groups (count), holds (count), costs of the template,
--            call indexes of the groups, then each new hold: number, flags, group index, unit
-- Verdicts   GRANTED deadline · SHADOWED deadline, waits · DENIED waits · NEED_GROUPS record ·
--            CONFLICT record · LEASE_ENDED · TOO_LONG · UNKNOWN
-- Writes     groups, record, open leases; nothing when denied
--
-- The named groups begin with the record's own, in its order; groups that only the new holds need
-- come after. A lease is never shortened.

local LONGEST_LEASE = 86400000000

-- Moves what the reservation holds of its concurrency counters to the bucket of the new deadline.
local function move_leases(record, list, bucket)
  local holds = record.list
  for i = 0, record.holds - 1 do
    local h = i * HOLD_FIELDS
    local amount = holds[h + 6]
    if has(holds[h + 2], HOLDS_LEASE) and amount > 0 then
      local group = list[holds[h + 3] + 1]
      local p = find_counter(group, holds[h + 1], 1)
      local since = holds[h + 5] > 0 and holds[h + 5] or record.since
      if p and since > group.t[p + FLOOR] then
        local charged = group.t[p + CHARGED]
        give_back_lease(group, p, record.bucket, amount)
        take_lease(group, p, bucket, amount)
        group.t[p + CHARGED] = charged
      end
    end
  end
end

local function extend(template, at)
  local costs = template and template.costs or ''
  local v = { unpack_struct('<I2dc4c8BB' .. costs, ARGV[5], at) }
  local index, lease, nonce, attempt, n_named, n_new = v[1], v[2], v[3], v[4], v[5], v[6]
  at = v[#v]
  local indexes, new = {}, {}
  for i = 1, n_named do indexes[i], at = unpack_struct('<I2', ARGV[5], at) end
  for i = 0, n_new - 1 do
    local h = i * HOLD_FIELDS
    new[h + 1], new[h + 2], new[h + 3], new[h + 4], at = unpack_struct('<I6BBI6', ARGV[5], at)
    new[h + 5], new[h + 6] = now, v[7 + i]
  end

  local record = get_record(index)
  if not record or record.state == RECORDED or record.state == VOID then return pack('B', UNKNOWN), at end
  if not record.list then open_body(record) end
  if record.nonce ~= nonce then return pack('B', UNKNOWN), at end
  if record.state == EXPIRED or (record.state == OPEN_STATE and now >= record.deadline) then return pack('B', LEASE_ENDED), at end
  if record.state ~= OPEN_STATE then return with_record(CONFLICT, record), at end
  if record.attempt == attempt then return pack('<Bd', GRANTED, record.deadline), at end
  local own, list = {}, {}
  for i = 1, n_named do
    list[i] = groups[indexes[i]]
    if i <= record.groups then own[i] = indexes[i] end
  end
  if not groups_of(record, own) then return with_record(NEED_GROUPS, record), at end

  local deadline = max(record.deadline, now + lease)
  if deadline > record.since + LONGEST_LEASE or record.holds + n_new > MOST_HOLDS then return pack('B', TOO_LONG), at end
  local waits
  if template then
    local denied
    denied, waits = decide(template, v, 7)
    if denied then
      note_refusal(template, v, 7, waits)
      return pack('B', DENIED) .. pack_waits(template, waits), at
    end
  end
  local bucket = lease_bucket(deadline, lease)
  move_leases(record, list, bucket)
  if template then take_all(template, v, 7, true, bucket, 0, 'reserve') end
  for i = 1, n_named do
    list[i].dirty, list[i].need = true, max(list[i].need, deadline - now + retention)
  end

  local names = {}
  for i = 1, n_named do names[i] = list[i].name end
  local raw, holds, old = record.raw, record.list, record.holds
  local blob = string.sub(raw, holds[#holds])
  holds[old * HOLD_FIELDS + 1] = nil
  for i = 1, n_new * HOLD_FIELDS do holds[old * HOLD_FIELDS + i] = new[i] end
  record.deadline, record.bucket, record.attempt = deadline, bucket, attempt
  local n = old + n_new
  record.raw = pack_header(record) .. pack(BODY, record.fingerprint, record.nonce, n_named) .. table.concat(names)
    .. pack('B', n) .. pack('<' .. rep(HOLD, n), unpack(holds, 1, n * HOLD_FIELDS)) .. blob
  record.list = false
  put_record(index, record, deadline - now + retention + UNSETTLED)
  opened[index], closed[index] = decimal(deadline), nil
  return grant(waits, template, deadline), at
end
