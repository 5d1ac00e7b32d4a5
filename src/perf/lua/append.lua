-- Stores calls of one session: whole, or not at all when it can't run; calls whose id is known are skipped.
-- KEYS  1 database: about  2 sessions  3 order  4 ids  5 totals
--       6 session: about   7 order     8 calls  9 details  10 sums  11 totals
-- ARGV  1 session  2 bytes that a call costs beyond its values
--       then for each call: id, start, login, user id, summary, detail, sums
-- sums  msgpack [wall time, field, number, time, field, number, time ...]: what the call adds to the totals. It is
--       kept, so that prune.lua can take away exactly what was added.
-- Gives the number of calls that were new.
local session, overhead = ARGV[1], tonumber(ARGV[2])
local added = 0
for at = 3, #ARGV, 7 do
  local id, start, login, user = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local summary, detail, sums = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6]
  if redis.call('HEXISTS', KEYS[4], id) == 0 then
    local rank = string.format('%010d', redis.call('HINCRBY', KEYS[6], 'rank', 1))
    local place = rank .. ':' .. session
    redis.call('HSET', KEYS[4], id, place)
    redis.call('ZADD', KEYS[3], start, place)
    redis.call('ZADD', KEYS[7], start, rank)
    redis.call('HSET', KEYS[8], rank, summary)
    redis.call('HSET', KEYS[9], rank, detail)
    redis.call('HSET', KEYS[10], rank, sums)
    local parts = cmsgpack.unpack(sums)
    for i = 2, #parts, 3 do
      for _, key in ipairs({KEYS[5], KEYS[11]}) do
        redis.call('HINCRBY', key, 'n' .. parts[i], parts[i + 1])
        redis.call('HINCRBY', key, 't' .. parts[i], parts[i + 2])
      end
    end
    redis.call('HINCRBY', KEYS[6], 'calls', 1)
    redis.call('HINCRBY', KEYS[6], 'time', parts[1])
    if login ~= '' then redis.call('HSET', KEYS[6], 'user', login) end
    if user ~= '' then redis.call('HSET', KEYS[6], 'user_id', user) end
    redis.call('ZADD', KEYS[2], 'GT', start, session)
    redis.call('HINCRBY', KEYS[1], 'calls', 1)
    redis.call('HINCRBY', KEYS[1], 'bytes', overhead + 2 * #id + 2 * #session + #summary + #detail + #sums)
    added = added + 1
  end
end
return added
