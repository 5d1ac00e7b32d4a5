-- Messages of one or several channels: each gets its offset, its place in the channel's history, and the entry from which every node
-- reads it, at once or not at all.
--
-- KEYS: about; for each channel its stream, itself, its history, and the ids of its messages that have one. ARGV: entries of a stream,
-- milliseconds for which a channel and an id are remembered; for each channel its name, messages, bytes and milliseconds of history, and
-- how many messages it gets; for each of these its data, and 1 when it has an id. Answers for each message offset, epoch, and 1 when the
-- id was seen before; or what is wrong with its channel.
local about = redis.call('HMGET', KEYS[1], 'epoch', 'stamp')
local epoch = about[1]
if not epoch then return redis.error_reply('NOEPOCH no node has begun') end
-- The entries of an epoch number themselves.
local entry = about[2] .. '-*'
local stream_length, kept, repeat_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local when = string.format('%.0f ', now)

-- Returns their bytes.
local function drop_oldest(history, count)
  local bytes = 0
  for _, text in ipairs(redis.call('LPOP', history, count)) do bytes = bytes + #text - text:find(' ', 1, true) end
  return bytes
end

local function drop_old(history, length, bytes, age)
  while length > 1 do
    local oldest = redis.call('LINDEX', history, 0)
    if now - tonumber(oldest:sub(1, oldest:find(' ', 1, true) - 1)) < age then break end
    bytes = bytes - drop_oldest(history, 1)
    length = length - 1
  end
  return bytes
end

-- The position of the message that had the id already; else it is that of the next one from now on.
local function repeated(id, life, offset)
  local is_here = life .. ' ' .. offset
  local first = redis.call('SET', id, is_here, 'PX', repeat_ms, 'NX', 'GET')
  if not first then return nil end
  local of_life, at = first:match('^(%d+) (%d+)$')
  if of_life == life then return tonumber(at) end
  redis.call('SET', id, is_here, 'PX', repeat_ms)
end

-- Each channel's part of KEYS and ARGV begins at `key` and `at`.
local function publish(key, at, answers)
  local stream, channel, history = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local name, most, most_bytes, age = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local state = redis.call('HMGET', channel, 'life', 'offset', 'bytes', 'due')
  local life, offset, bytes, due = state[1], tonumber(state[2] or 0), tonumber(state[3] or 0), tonumber(state[4] or 0)
  -- A channel that was forgotten begins anew, in an epoch of its own.
  if not life then
    life = tostring(redis.call('HINCRBY', KEYS[1], 'lives', 1))
    redis.call('DEL', history)
  end
  local here, texts, added, id = epoch .. '.' .. life, {}, 0, key + 3
  for i = at + 5, at + 3 + 2 * ARGV[at + 4], 2 do
    local data, first = ARGV[i], nil
    if ARGV[i + 1] == '1' then
      first = repeated(KEYS[id], life, offset + 1)
      id = id + 1
    end
    if first then
      answers[#answers + 1] = {first, here, 1}
    else
      offset = offset + 1
      redis.call('XADD', stream, entry, 'at', string.format('%s %d %s', here, offset, name), 'data', data)
      texts[#texts + 1] = when .. data
      added = added + #data
      answers[#answers + 1] = {offset, here, 0}
    end
  end
  if #texts == 0 then return end
  redis.call('XTRIM', stream, 'MAXLEN', '~', stream_length)

  local is_due = now >= due
  if most > 0 then
    local length = redis.call('RPUSH', history, unpack(texts))
    bytes = (length == #texts and 0 or bytes) + added
    if length > most then
      bytes = bytes - drop_oldest(history, length - most)
      length = most
    end
    while bytes > most_bytes and length > 1 do
      bytes = bytes - drop_oldest(history, 1)
      length = length - 1
    end
    if is_due then bytes = drop_old(history, length, bytes, age) end
  elseif bytes > 0 then
    bytes = 0
    redis.call('DEL', history)
  end
  if not is_due then
    redis.call('HSET', channel, 'offset', string.format('%d', offset), 'bytes', string.format('%d', bytes))
    return
  end
  -- Now and then, so that nothing stays for ever: who looks drops what is too old.
  due = now + math.floor(math.min(age, kept) / 2)
  redis.call('HSET', channel, 'life', life, 'offset', offset, 'bytes', bytes, 'due', due)
  redis.call('PEXPIRE', channel, kept)
  if most > 0 then redis.call('PEXPIRE', history, 2 * age) end
end

local answers, key, at = {}, 2, 4
while at <= #ARGV do
  local count, before = tonumber(ARGV[at + 4]), #answers
  local is_done, problem = pcall(publish, key, at, answers)
  if not is_done then
    -- pcall gives what a command answered as a text.
    for i = before + 1, before + count do answers[i] = redis.error_reply(problem) end
  end
  key = key + 3
  for i = at + 6, at + 4 + 2 * count, 2 do key = key + tonumber(ARGV[i]) end
  at = at + 5 + 2 * count
end
return answers
