-- read: figures of counters, and checks, without writing. KEYS and ARGV as in lib/call.lua; of the
-- operations only `check` may appear.
--
-- Reply   see lib/reply.lua; then each check's verdict

-- == read ==
if not reached then return header(RETRY_PERIOD) end
load_groups()
load_templates()

-- == decide ==
local verdicts, at, n_ops, size = {}, 1, 0, #ARGV[5]
while at <= size do
  local low, high = string.byte(ARGV[5], at + 1, at + 2)
  n_ops = n_ops + 1
  verdicts[n_ops], at = check(templates[low + high * 256], at + 3)
end

-- == reply ==
return header(DONE) .. figures() .. table.concat(verdicts)
