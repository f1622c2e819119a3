//! What the script is compared with: what others do for one limit.

/// The generic cell rate algorithm on one key, as redis-cell does it: time, read, write with expiry, five figures.
pub const GCRA: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local burst, interval, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local new = tat + interval * cost
local allow_at = new - interval * burst
if allow_at > now then return { 1, burst, 0, math.ceil((allow_at - now) / 1000), math.ceil((tat - now) / 1000) } end
redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', math.ceil((new - now) / 1000) + 1)
return { 0, burst, math.floor((now - allow_at) / interval), -1, math.ceil((new - now) / 1000) }
";

/// The same on a key for each limit: all are read, then all are written.
pub const GCRA_EACH: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local new, out = {}, {}
for i = 1, #KEYS do
  local burst, interval, cost = tonumber(ARGV[i * 3 - 2]), tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3])
  local tat = tonumber(redis.call('GET', KEYS[i]) or now)
  if tat < now then tat = now end
  new[i] = tat + interval * cost
  local allow_at = new[i] - interval * burst
  if allow_at > now then return { 1, burst, 0, math.ceil((allow_at - now) / 1000), math.ceil((tat - now) / 1000) } end
  out[i] = math.floor((now - allow_at) / interval)
end
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], string.format('%.0f', new[i]), 'PX', math.ceil((new[i] - now) / 1000) + 1)
end
return { 0, out[1], out[2], out[3], out[4] }
";

/// The exact log: a sorted set for each limit, one member for each request.
pub const EXACT_LOG: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local window, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now - window))
  if redis.call('ZCARD', KEYS[i]) >= limit then return 0 end
end
for i = 1, #KEYS do
  redis.call('ZADD', KEYS[i], string.format('%.0f', now), ARGV[3])
  redis.call('PEXPIRE', KEYS[i], window / 1000)
end
return 1
";
