-- reserve: take every cost of a template, or none; remember them in a record.
-- check: decide the same, take nothing.
-- record: count a use that was not reserved; never denied.
--
-- Arguments  reserve: record, lease µs, body of the record, costs · check: costs
--            record: record, fingerprint, costs
-- Verdicts   GRANTED deadline · SHADOWED deadline, waits · DENIED waits · REPLAY record · MISMATCH · VOIDED
-- Writes     groups, record, open leases; nothing when denied
-- Costs      O(counters); a denial walks the segments of the counters in the way

local function grant(waits, template, deadline)
  if waits then return pack('<Bd', SHADOWED, deadline) .. pack_waits(template, waits) end
  return pack('<Bd', GRANTED, deadline)
end

-- What an existing record answers to a repetition; nil when there is none.
local function repetition(index, fingerprint)
  local record = get_record(index)
  if not record then return nil end
  if record.state == VOID then return pack('B', VOIDED) end
  if string.sub(record.raw, RECORD_BYTES + 1, RECORD_BYTES + 8) ~= fingerprint then return pack('B', MISMATCH) end
  return with_record(REPLAY, record)
end

-- What all reserves of a call with the same lease have in common: deadline, lease bucket, header of the
-- record, how long it is kept, verdict.
local terms_by_lease = {}

local function terms_of(lease)
  local terms = terms_by_lease[lease]
  if not terms then
    local deadline = now + lease
    local bucket = lease_bucket(deadline, lease)
    terms = { deadline = deadline, ends = decimal(deadline), bucket = bucket, kept = decimal(ceil((lease + retention + UNSETTLED) / 1000)),
      granted = pack('<Bd', GRANTED, deadline),
      header = pack(RECORD, OPEN_STATE, 0, now, deadline, bucket, 0, NO_FINGERPRINT, NO_FINGERPRINT) }
    terms_by_lease[lease] = terms
  end
  return terms
end

local function reserve(template, at)
  local v = { unpack_struct(template.reserve, ARGV[5], at) }
  local index, lease, body = v[1], v[2], v[3]
  at = v[#v]
  if stored_record(index) then return repetition(index, string.sub(body, 1, 8)), at end
  local denied, waits = decide(template, v, 4)
  if denied then
    note_refusal(template, v, 4, waits)
    return pack('B', DENIED) .. pack_waits(template, waits), at
  end
  local terms = terms_of(lease)
  hold_all(template, v, 4, lease, terms.bucket)
  stored[index], ttls[index], opened[index], closed[index] = terms.header .. body, terms.kept, terms.ends, nil
  if loaded[index] == false then loaded[index] = nil end
  return waits and grant(waits, template, terms.deadline) or terms.granted, at
end

local function check(template, at)
  local v = { unpack_struct(template.waits, ARGV[5], at) }
  local denied, waits = decide(template, v, 1)
  if denied then return pack('B', DENIED) .. pack_waits(template, waits), v[#v] end
  return grant(waits, template, 0), v[#v]
end

local function record_use(template, at)
  local v = { unpack_struct('<I2c8' .. template.costs, ARGV[5], at) }
  local index, fingerprint = v[1], v[2]
  at = v[#v]
  local again = repetition(index, fingerprint)
  if again then return again, at end
  take_all(template, v, 3, false, nil, retention, 'record')
  local raw = pack(RECORD, RECORDED, 0, now, now, 0, now, NO_FINGERPRINT, NO_FINGERPRINT)
    .. pack(BODY, fingerprint, '\0\0\0\0', 0) .. '\0'
  local record = record_header(raw)
  put_record(index, record, retention)
  return pack('<Bd', GRANTED, 0), at
end
