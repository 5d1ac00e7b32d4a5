-- Removes a rule; gives whether it was there.
-- KEYS  1 rules
-- ARGV  1 id
if string.sub(ARGV[1], 1, 1) ~= 'r' or redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'version', 1)
return 1
