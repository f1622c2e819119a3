-- Time. Needs: nothing.

-- Microseconds since 1970 by the server's clock. The only TIME call; read once per script.
local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
