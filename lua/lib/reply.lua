-- The reply: one string. Needs: call, counter.

-- Outcome, clock, operations, config version, epoch (0 = the pool has none yet), seq, pool status,
-- last event id.
local function header(outcome)
  return pack('<BdddddBc20', outcome, now, meta.operations, meta.version, meta.born and meta.operations == 0 and 0 or meta.epoch,
    meta.seq, meta.status, meta.event)
end

-- How many counters; for each total, held, instant at which it is whole, charged, status.
local function figures()
  local n = #slot_base
  local list = list_of(n * 5)
  for i = 1, n do
    local t, p, f = slot_group[i].t, slot_base[i], (i - 1) * 5
    list[f + 1], list[f + 2], list[f + 3] = t[p + TOTAL], t[p + HELD], whole_at(t, p)
    list[f + 4], list[f + 5] = t[p + CHARGED], t[p + STATUS]
  end
  return pack('<I2' .. rep('ddddB', n), n, unpack(list))
end
