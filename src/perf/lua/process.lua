-- Keeps what one process said last, and forgets processes that have long been silent.
-- KEYS  1 processes  2 seen
-- ARGV  1 "host:process"  2 time  3 value, empty when it has ended  4 forget what was seen before
local known = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or -1)
if known > tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[1], ARGV[1])
  return 1
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
for _, silent in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[4], 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[2], silent)
  redis.call('HDEL', KEYS[1], silent)
end
return 1
