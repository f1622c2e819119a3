-- due: what time alone has brought about and nobody has written yet.
--
-- KEYS    1 open leases (zset) · 2 due looks (zset)
-- ARGV    1 the most entries of each to return
-- Reply   clock µs, record names of ended leases, group names to look at
-- Costs   O(log n + returned)

local now = server_time()
local bound = string.format('%.0f', now)
return { string.format('%.0f', now),
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', bound, 'LIMIT', 0, ARGV[1]),
  redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', bound, 'LIMIT', 0, ARGV[1]) }
