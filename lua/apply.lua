-- apply: the operations of one call on one pool, in order, atomically. See lib/call.lua for KEYS and
-- ARGV, ops/*.lua for the operations.
--
-- Reply   see lib/reply.lua; then each operation's verdict. STALE_CONFIG: the caller's version is not
--         the current one. RETRY_PERIOD: send the periods around `clock`. Neither wrote anything.
-- Events  one for each counter whose status changed over the call, one for the pool's

-- == read ==
if version ~= meta.version then return header(STALE_CONFIG) end
if not reached then return header(RETRY_PERIOD) end
if not texts_fit() then return redis.error_reply('ERR the arguments do not fit each other') end
load_groups()
load_templates()

-- == decide ==
local verdicts, at, n_ops, size = {}, 1, 0, #ARGV[5]
while at <= size do
  local kind, low, high = string.byte(ARGV[5], at, at + 2)
  local template = templates and templates[low + high * 256]
  local verdict
  if kind > 2 and n_touched > 0 then settle_takes() end
  if kind == 1 then
    verdict, at = reserve(template, at + 3)
  elseif kind == 2 then
    verdict, at = check(template, at + 3)
  elseif kind == 3 then
    verdict, at = record_use(template, at + 3)
  elseif kind == 4 then
    verdict, at = settle(at + 3)
  elseif kind == 5 then
    verdict, at = extend(template, at + 3)
  elseif kind == 6 then
    verdict, at = touch(at + 3)
  else
    verdict, at = reset(at + 3)
  end
  n_ops = n_ops + 1
  verdicts[n_ops] = verdict
end

settle_takes()

-- == write ==
local events = new_events(meta, stem)
local writes = write_groups(events)
writes = write_records() or writes
if writes then
  meta.clock, meta.operations = now, meta.operations + 1
  save_meta(KEYS[1], meta)
end

-- == emit ==
if writes then emit(events, KEYS[2], ARGV[6]) end

-- == reply ==
return header(DONE) .. figures() .. table.concat(verdicts)
