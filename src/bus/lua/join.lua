-- A node comes, or comes back. The messages go on from where they were only when this is the server process that kept them all
-- along, and nothing of what the node has read is missing; else another epoch begins.
--
-- KEYS: about, the streams. ARGV: version, identity of the server, an epoch to begin, the epoch that the node knows, and for each
-- stream the number of the last entry that it read. Answers the epoch, and for each stream the id and number of its last entry.
local about = redis.call('HMGET', KEYS[1], 'version', 'shards', 'identity', 'epoch')
local shards = tostring(#KEYS - 1)
if about[1] and about[1] ~= ARGV[1] then return redis.error_reply('OTHERVERSION ' .. about[1]) end
if about[2] and about[2] ~= shards then return redis.error_reply('OTHERSHARDS ' .. about[2]) end
local epoch = about[4]
local is_proven = epoch and about[3] == ARGV[2]
local numbers = {}
for shard = 1, #KEYS - 1 do
  numbers[shard] = tonumber(redis.call('HGET', KEYS[1], 'n' .. (shard - 1)) or 0)
  if epoch == ARGV[4] and numbers[shard] < tonumber(ARGV[4 + shard]) then is_proven = false end
end
if not is_proven then
  epoch = ARGV[3]
  -- Lives are numbered so that none of an earlier epoch comes again.
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'shards', shards, 'identity', ARGV[2], 'epoch', epoch,
    'lives', redis.call('TIME')[1] .. '000')
end
local answer = {epoch}
for shard = 1, #KEYS - 1 do
  local last = redis.call('XREVRANGE', KEYS[1 + shard], '+', '-', 'COUNT', 1)[1]
  answer[#answer + 1] = last and last[1] or '0-0'
  answer[#answer + 1] = numbers[shard]
end
return answer
