-- Packed layout: every format string and every offset. Twin: src/store/codec.rs. Needs: nothing.
--
-- All numbers are whole and below 2^53; instants are µs since 1970.
--
-- A declaration of names in capitals with plain values costs nothing: the composer writes the values
-- in the place of the names (a local that a function captures costs time whenever the script runs).

local pack, unpack_struct, rep = struct.pack, struct.unpack, string.rep
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

-- The most that a counter can say. What is recorded beyond it is not counted; nothing can be granted
-- there anyway. `charged` goes round instead: readers take differences.
local MOST = 9007199254740991

-- Pool meta (string): clock, operations, config version, epoch, seq, pool status, last event id.
local META = '<dddddBc20'
local NO_EVENT = '00000000000000000000'

-- Group head (hash field 'h'): expiry of the key, next scheduled look (0 = none), then counters.
local HEAD = 'dd'
local HEAD_BYTES, HEAD_FIELDS = 16, 2
-- One counter: number, flags, status, warning (thousandths), window (ms), then doubles:
--   floor     amounts taken at or before this instant are no longer in the counter
--   capacity  as last configured
--   total     used + held now
--   held      the held part of total
--   open      rate: amount of the open segment
--   open_held rate: held part of the open segment
--   last      rate: last admission; budget: start of the period; concurrency: latest lease bucket
--   edge      rate: expiry of the oldest closed segment; budget: end of the period;
--             concurrency: earliest lease bucket (0 = none)
--   charged   ever charged, less what came back
local COUNTER = 'I6BBI2I4ddddddddd'
local COUNTER_BYTES, COUNTER_FIELDS = 86, 14
local NUMBER, FLAGS, STATUS, WARNING, WINDOW, FLOOR, CAPACITY = 1, 2, 3, 4, 5, 6, 7
local TOTAL, HELD, OPEN, OPEN_HELD, LAST, EDGE, CHARGED = 8, 9, 10, 11, 12, 13, 14

-- Flags of a counter: kind in the two low bits.
local RATE, BUDGET, CONCURRENCY = 0, 1, 2
local SHADOW, SILENT = 4, 8

-- Marks a counter of a group that was brought to the present in this call.
local FRESH = 1

-- Segments of a counter (hash field = decimal number): three doubles each, oldest first: instant,
-- amount, held part.
local SEGMENT_FIELDS = 3

-- Record of a reservation (string): state, flags, since, deadline, lease bucket, settled at,
-- fingerprint of the settlement, id of the last extension; then the body as the node made it.
local RECORD = '<BBddddc8c8'
local RECORD_BYTES = 50
-- Body: fingerprint, nonce, groups (count, names), holds (count, entries), blob.
local BODY = '<c8c4B'
local BODY_BYTES, GROUP_NAME_BYTES = 13, 22
-- One hold: number, flags, index of its group (from 0), unit, since (0 = the record's), amount. What
-- came back when the lease ended keeps its amount under GIVEN_BACK: a late commit may still charge it.
local HOLD = 'I6BBI6dd'
local HOLD_FIELDS = 6
local SETTLE_ADMITTED, REFUND_ON_LEASE_END, HOLDS_LEASE, SKIPPED, GIVEN_BACK = 1, 2, 4, 8, 16
local MOST_HOLDS = 255

local OPEN_STATE, COMMITTED, RELEASED, EXPIRED, VOID, RECORDED = 1, 2, 3, 4, 5, 6
local LATE, ESTIMATED = 1, 2
local NO_FINGERPRINT = '\0\0\0\0\0\0\0\0'

-- Numbers as arguments of commands: given as they are, the server would print each with the slow
-- exact conversion of doubles. Most calls name few different ones.
local decimals = {}

local function decimal(number)
  local text = decimals[number]
  if not text then
    text = string.format('%d', number)
    decimals[number] = text
  end
  return text
end

-- A list of so many fields, made at once: a list that grows is copied at each power of two, and most
-- lists here are short. The fields are zero.
local function list_of(n)
  return { string.byte(rep('\0', n), 1, n) }
end

-- The format of a group with so many counters; calls name many groups of the same kind.
local group_formats = {}

local function group_format(n)
  local format = group_formats[n]
  if not format then
    format = '<' .. HEAD .. rep(COUNTER, n)
    group_formats[n] = format
  end
  return format
end

-- True when a bit (a power of two) is set.
local function has(flags, bit)
  return flags % (bit + bit) >= bit
end
