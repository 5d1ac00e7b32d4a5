-- A node comes, or comes back. The messages go on from where they were only when this is the server process that kept them all
-- along, and nothing of what the node has read is missing; else another epoch begins.
--
-- KEYS: about, the streams. ARGV: version, identity of the server, an epoch to begin, the epoch that the node knows, and for each
-- stream the last entry that it read. Answers the epoch, and the last entry of each stream.
local about = redis.call('HMGET', KEYS[1], 'version', 'shards', 'identity', 'epoch')
local shards = tostring(#KEYS - 1)
if about[1] and about[1] ~= ARGV[1] then return redis.error_reply('OTHERVERSION ' .. about[1]) end
if about[2] and about[2] ~= shards then return redis.error_reply('OTHERSHARDS ' .. about[2]) end

local function parts(entry)
  local stamp, number = entry:match('^(%d+)-(%d+)$')
  return tonumber(stamp), tonumber(number)
end

local epoch = about[4]
local is_proven = epoch and about[3] == ARGV[2]
local clock = redis.call('TIME')
local newest = clock[1] * 1000 + math.floor(clock[2] / 1000)
local answer = {epoch}
for shard = 1, #KEYS - 1 do
  local last = redis.call('XREVRANGE', KEYS[1 + shard], '+', '-', 'COUNT', 1)[1]
  local entry = last and last[1] or '0-0'
  local stamp, number = parts(entry)
  local read_stamp, read_number = parts(ARGV[4 + shard])
  if stamp < read_stamp or (stamp == read_stamp and number < read_number) then is_proven = is_proven and epoch ~= ARGV[4] end
  newest = math.max(newest, stamp)
  answer[1 + shard] = entry
end
if not is_proven then
  epoch = ARGV[3]
  -- Lives are numbered so that none of an earlier epoch comes again; entries are, after the stamp of their epoch.
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'shards', shards, 'identity', ARGV[2], 'epoch', epoch,
    'lives', clock[1] .. '000', 'stamp', string.format('%.0f', newest + 1))
end
answer[1] = epoch
return answer
