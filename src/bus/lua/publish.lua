-- One message: its offset, its place in the channel's history, and the entry from which every node reads it, at once or not at all.
--
-- KEYS: about, stream, channel, history, and the repeated id if there is one. ARGV: the channel's name, data, number of the shard,
-- messages, bytes and milliseconds of history, entries of the stream, milliseconds for which the channel and the id are remembered.
-- Answers offset, epoch, and 1 when the id was seen before.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return redis.error_reply('NOEPOCH no node has begun') end
local state = redis.call('HMGET', KEYS[3], 'life', 'offset', 'bytes')
local life, offset, bytes = state[1], tonumber(state[2] or 0) + 1, tonumber(state[3] or 0)

if life and KEYS[5] then
  local first = redis.call('GET', KEYS[5])
  local of_life, at = (first or ''):match('^(%d+) (%d+)$')
  if of_life == life then return {tonumber(at), epoch .. '.' .. life, 1} end
end

-- A channel that was forgotten begins anew, in an epoch of its own.
if not life then
  life = tostring(redis.call('HINCRBY', KEYS[1], 'lives', 1))
  redis.call('DEL', KEYS[4])
end
local number = redis.call('HINCRBY', KEYS[1], 'n' .. ARGV[3], 1)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], '*',
  'n', number, 'c', ARGV[1], 'o', offset, 'e', epoch .. '.' .. life, 'd', ARGV[2])

local most, most_bytes, age = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if most > 0 then
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local length = redis.call('RPUSH', KEYS[4], string.format('%.0f ', now) .. ARGV[2])
  bytes = (length == 1 and 0 or bytes) + #ARGV[2]
  while length > 1 do
    local oldest = redis.call('LINDEX', KEYS[4], 0)
    local space = oldest:find(' ', 1, true)
    local is_old = now - tonumber(oldest:sub(1, space - 1)) >= age
    if length <= most and bytes <= most_bytes and not is_old then break end
    redis.call('LPOP', KEYS[4])
    length = length - 1
    bytes = bytes - (#oldest - space)
  end
  -- Only so that nothing stays for ever: who looks drops what is too old.
  if redis.call('PTTL', KEYS[4]) < age then redis.call('PEXPIRE', KEYS[4], 2 * age) end
else
  bytes = 0
  redis.call('DEL', KEYS[4])
end

redis.call('HSET', KEYS[3], 'life', life, 'offset', offset, 'bytes', bytes)
if redis.call('PTTL', KEYS[3]) < ARGV[8] / 2 then redis.call('PEXPIRE', KEYS[3], ARGV[8]) end
if KEYS[5] then redis.call('SET', KEYS[5], life .. ' ' .. offset, 'PX', ARGV[9]) end
return {offset, epoch .. '.' .. life, 0}
