-- Takes calls of one session away, with all that append.lua added for them.
-- KEYS  as append.lua
-- ARGV  1 session  2 bytes that a call costs beyond its values  then for each call: rank, id
-- Gives the number of calls that were there. A session without calls leaves nothing behind: its ranks begin anew.
local session, overhead = ARGV[1], tonumber(ARGV[2])
local removed = 0
-- Not -number: Lua writes -0 for zero, which is no integer for Redis.
local function minus(number) return string.format('%d', 0 - number) end
local function subtract(key, part, number, time)
  redis.call('HINCRBY', key, 't' .. part, minus(time))
  if redis.call('HINCRBY', key, 'n' .. part, minus(number)) <= 0 then
    redis.call('HDEL', key, 'n' .. part, 't' .. part)
  end
end
for at = 3, #ARGV, 2 do
  local rank, id = ARGV[at], ARGV[at + 1]
  local summary = redis.call('HGET', KEYS[8], rank)
  if summary then
    local detail = redis.call('HGET', KEYS[9], rank) or ''
    local sums = redis.call('HGET', KEYS[10], rank)
    local parts = cmsgpack.unpack(sums)
    for i = 2, #parts, 3 do
      subtract(KEYS[5], parts[i], parts[i + 1], parts[i + 2])
      subtract(KEYS[11], parts[i], parts[i + 1], parts[i + 2])
    end
    redis.call('HINCRBY', KEYS[6], 'calls', -1)
    redis.call('HINCRBY', KEYS[6], 'time', minus(parts[1]))
    redis.call('HINCRBY', KEYS[1], 'calls', -1)
    redis.call('HINCRBY', KEYS[1], 'bytes', minus(overhead + 2 * #id + 2 * #session + #summary + #detail + #sums))
    redis.call('HDEL', KEYS[8], rank)
    redis.call('HDEL', KEYS[9], rank)
    redis.call('HDEL', KEYS[10], rank)
    removed = removed + 1
  end
  redis.call('HDEL', KEYS[4], id)
  redis.call('ZREM', KEYS[3], rank .. ':' .. session)
  redis.call('ZREM', KEYS[7], rank)
end
if redis.call('ZCARD', KEYS[7]) == 0 then
  redis.call('DEL', KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11])
  redis.call('ZREM', KEYS[2], session)
end
return removed
