-- Where a channel stands, and messages of it. Who looks keeps the channel from being forgotten.
--
-- KEYS: about, channel, history. ARGV: offset after which messages are asked for, or -1 for the newest; its epoch; messages and bytes
-- at most; milliseconds of history; milliseconds for which the channel is remembered, and those when nothing was published.
-- Answers offset and epoch of the channel, 1 when something after the asked offset is lost, the first message's offset, the messages.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return redis.error_reply('NOEPOCH no node has begun') end
local state = redis.call('HMGET', KEYS[2], 'life', 'offset')
local life, offset = state[1], tonumber(state[2] or 0)
if not life then
  life = tostring(redis.call('HINCRBY', KEYS[1], 'lives', 1))
  redis.call('HSET', KEYS[2], 'life', life, 'offset', 0, 'bytes', 0)
  redis.call('DEL', KEYS[3])
end
local kept = tonumber(offset > 0 and ARGV[6] or ARGV[7])
if redis.call('PTTL', KEYS[2]) < kept / 2 then redis.call('PEXPIRE', KEYS[2], kept) end
epoch = epoch .. '.' .. life

local since, limit, most_bytes, age = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if since < 0 and limit == 0 then return {offset, epoch, 0, 0, {}} end

local count = redis.call('LLEN', KEYS[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
while count > 0 do
  local oldest = redis.call('LINDEX', KEYS[3], 0)
  local space = oldest:find(' ', 1, true)
  if now - tonumber(oldest:sub(1, space - 1)) < age then break end
  redis.call('LPOP', KEYS[3])
  redis.call('HINCRBY', KEYS[2], 'bytes', space - #oldest)
  count = count - 1
end

local oldest = offset - count + 1
if since >= 0 and (ARGV[2] ~= epoch or since > offset or since + 1 < oldest) then return {offset, epoch, 1, 0, {}} end

-- Some at a time, so that nothing is read that does not fit. Returns false when the next one does not.
local messages, bytes = {}, 0
local function take(text)
  local data = text:sub(text:find(' ', 1, true) + 1)
  bytes = bytes + #data
  if #messages >= limit or (bytes > most_bytes and #messages > 0) then return false end
  messages[#messages + 1] = data
  return true
end

local step, is_room = 64, limit > 0
if since >= 0 then
  local at = since + 1 - oldest
  while is_room and at < count do
    for _, text in ipairs(redis.call('LRANGE', KEYS[3], at, at + step - 1)) do
      is_room = is_room and take(text)
    end
    at = at + step
  end
  return {offset, epoch, 0, since + 1, messages}
end

-- The newest: from the end, and then turned round.
local past = count
while is_room and past > 0 do
  local some = redis.call('LRANGE', KEYS[3], math.max(0, past - step), past - 1)
  for i = #some, 1, -1 do
    is_room = is_room and take(some[i])
  end
  past = past - step
end
for i = 1, math.floor(#messages / 2) do
  messages[i], messages[#messages + 1 - i] = messages[#messages + 1 - i], messages[i]
end
return {offset, epoch, 0, offset - #messages + 1, messages}
