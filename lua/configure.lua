-- configure: set or remove one runtime override, and raise the version that every call names, so
-- that it acts at once and everywhere. Who did it is written down in the same step.
--
-- KEYS    1 meta (string) · 2 overrides (hash: limit id, JSON) · 3 log (stream) · 4 audit (stream)
-- ARGV    epoch to use if there is none, field, value ('' = remove), note for the audit: JSON ('' = none)
-- Reply   the version; an override that does not stand is not removed, and changes nothing
-- Writes  meta, overrides and audit; drops the log of an epoch that is lost
-- Bounds  the audit keeps 1,000 entries

-- == read ==
local meta = load_meta(KEYS[1], tonumber(ARGV[1]))
local before = redis.call('HGET', KEYS[2], ARGV[2])

-- == write ==
if ARGV[3] == '' and not before then return string.format('%.0f', meta.version) end
-- The first version is the epoch's own, so that after a loss of data no node takes the new overrides
-- for those that it knows.
if meta.version == 0 then meta.version = meta.epoch end
if ARGV[3] == '' then redis.call('HDEL', KEYS[2], ARGV[2]) else redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) end
meta.version, meta.operations = meta.version + 1, meta.operations + 1
save_meta(KEYS[1], meta)
-- A log of another epoch cannot be continued.
if meta.born then redis.call('DEL', KEYS[3]) end
if ARGV[4] ~= '' then
  redis.call('XADD', KEYS[4], 'MAXLEN', 1000, '*', 'note', ARGV[4], 'before', before or '', 'after', ARGV[3])
end
return string.format('%.0f', meta.version)
