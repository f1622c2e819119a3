-- probe: a message to oneself, to learn whether messages arrive. Nothing is kept.
--
-- ARGV    1 channel · 2 nonce
-- Reply   false
-- Reply   false
redis.call('PUBLISH', ARGV[1], ARGV[2])
return false
