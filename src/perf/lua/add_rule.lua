-- Stores a rule under a new id, which it gives; an empty answer when there are too many.
-- KEYS  1 rules
-- ARGV  1 most rules  2 rule
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[1]) + 2 then return '' end
local id = 'r' .. redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('HSET', KEYS[1], id, ARGV[2])
redis.call('HINCRBY', KEYS[1], 'version', 1)
return id
