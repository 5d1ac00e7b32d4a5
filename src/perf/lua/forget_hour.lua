-- Takes the counts of one hour away.
-- KEYS  1 database: hours  2 hour  3 about
-- ARGV  1 hour
local size = tonumber(redis.call('HGET', KEYS[2], 'bytes') or '0')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
if size > 0 then redis.call('HINCRBY', KEYS[3], 'bytes', -size) end
return size
