-- Records of reservations. Needs: layout.

-- An open record stays this much longer, µs (45 days), in case that nobody is there to end its lease: longer
-- than any group lives untouched (a quarter over 32 days), so that whatever still holds units for it
-- is found, however late the next sweep comes.
local UNSETTLED = 3888000000000

-- Header of a raw record, without its body.
local function record_header(raw)
  local state, flags, since, deadline, bucket, settled_at, settlement, attempt = unpack_struct(RECORD, raw)
  -- The fields of the body stand here, too, so that the table does not grow when it is opened.
  return { state = state, flags = flags, since = since, deadline = deadline, bucket = bucket,
    settled_at = settled_at, settlement = settlement, attempt = attempt, raw = raw, fingerprint = false,
    nonce = false, groups = 0, groups_at = 0, holds_at = 0, holds = 0, list = false }
end

local function pack_header(record)
  return pack(RECORD, record.state, record.flags, record.since, record.deadline, record.bucket, record.settled_at,
    record.settlement, record.attempt)
end

local holds_formats = {}

local function holds_format(n)
  local format = holds_formats[n]
  if not format then
    format = '<' .. rep(HOLD, n)
    holds_formats[n] = format
  end
  return format
end

-- Position and count of the groups' names and of the holds.
local function open_body(record)
  local raw, at = record.raw, RECORD_BYTES + 1
  record.fingerprint, record.nonce, record.groups = unpack_struct(BODY, raw, at)
  record.groups_at = at + BODY_BYTES
  record.holds_at = record.groups_at + record.groups * GROUP_NAME_BYTES
  record.holds = string.byte(raw, record.holds_at)
  record.list = { unpack_struct(holds_format(record.holds), raw, record.holds_at + 1) }
end

-- The record as bytes again, with the list of holds as it is now.
local function pack_record(record)
  local raw, blob_at = record.raw, record.list[#record.list]
  return pack_header(record) .. string.sub(raw, RECORD_BYTES + 1, record.holds_at)
    .. pack(holds_format(record.holds), unpack(record.list, 1, record.holds * HOLD_FIELDS)) .. string.sub(raw, blob_at)
end
