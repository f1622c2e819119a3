-- register: write down which number stands for which name, and refuse two names for one number.
--
-- KEYS    1 names (hash: number, name)
-- ARGV    number, name, number, name, …
-- Reply   false, or the number, the name that has it and the name that wants it
-- Writes  numbers that were not written down yet; nothing on a collision

-- == read ==
for i = 1, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  if known and known ~= ARGV[i + 1] then return { ARGV[i], known, ARGV[i + 1] } end
end

-- == write ==
redis.call('HSET', KEYS[1], unpack(ARGV))
return false
