-- Adds the counts of one hour, once for each token.
-- KEYS  1 database: hours  2 hour  3 sent  4 about
-- ARGV  1 hour  2 seconds for which the token is remembered  3 fields from which on new methods are "(other)"
--       then for each method: "kind:method", calls, errors, time, sql time, statements,
--       histogram "bucket:count,...,max:microseconds"
if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[1])
local size = 0
local function add(field, number)
  if number == '0' then return end
  if redis.call('HINCRBY', KEYS[2], field, number) == tonumber(number) then size = size + #field + 24 end
end
-- The longest call, as far as it is known of all that were added.
local function raise(name, was_there, histogram)
  local longest, known = string.match(histogram, 'max:(%d+)'), redis.call('HGET', KEYS[2], 'm' .. name)
  if not longest or (was_there and not known) then
    redis.call('HDEL', KEYS[2], 'm' .. name)
  elseif not known or tonumber(longest) > tonumber(known) then
    redis.call('HSET', KEYS[2], 'm' .. name, longest)
    if not known then size = size + #name + 25 end
  end
end
for at = 4, #ARGV, 7 do
  local name = ':' .. ARGV[at]
  if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) and redis.call('HEXISTS', KEYS[2], 'n' .. name) == 0 then
    name = string.match(name, '^:[^:]*') .. ':(other)'
  end
  raise(name, redis.call('HEXISTS', KEYS[2], 'n' .. name) == 1, ARGV[at + 6])
  add('n' .. name, ARGV[at + 1])
  add('e' .. name, ARGV[at + 2])
  add('t' .. name, ARGV[at + 3])
  add('s' .. name, ARGV[at + 4])
  add('q' .. name, ARGV[at + 5])
  for bucket, number in string.gmatch(ARGV[at + 6], '(%d+):(%d+)') do
    add(bucket .. name, number)
  end
end
redis.call('HINCRBY', KEYS[4], 'bytes', size)
redis.call('HINCRBY', KEYS[2], 'bytes', size)
return 1
