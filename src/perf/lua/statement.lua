-- Stores statement texts that are not known yet, up to a number of them.
-- KEYS  1 statements  2 about
-- ARGV  1 most statements  then for each: fingerprint, statement
local most = tonumber(ARGV[1])
for at = 2, #ARGV, 2 do
  if redis.call('HLEN', KEYS[1]) >= most then return 0 end
  if redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1]) == 1 then
    redis.call('HINCRBY', KEYS[2], 'bytes', #ARGV[at] + #ARGV[at + 1] + 80)
  end
end
return 1
