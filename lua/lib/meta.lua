-- The pool's meta record. Needs: layout.

-- Reads meta, or makes a new one under the caller's epoch. A new epoch means that the log, if one is
-- left over, belongs to a past that cannot be continued; `event` drops it.
local function load_meta(key, epoch)
  local raw = redis.call('GET', key)
  if raw then
    local clock, operations, version, own_epoch, seq, status, event = unpack_struct(META, raw)
    return { clock = clock, operations = operations, version = version, epoch = own_epoch, seq = seq,
      status = status, event = event, born = false }
  end
  return { clock = 0, operations = 0, version = 0, epoch = epoch, seq = 0, status = 0, event = NO_EVENT, born = true }
end

local function save_meta(key, meta)
  redis.call('SET', key, pack(META, meta.clock, meta.operations, meta.version, meta.epoch, meta.seq, meta.status, meta.event))
end
