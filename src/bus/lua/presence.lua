-- What a node says about its users: kept for its lease, and told to the other nodes, at once or not at all.
--
-- KEYS: stream, nodes, the node's users, number of the last entry. ARGV: the node, "changes", "all" or "left", milliseconds of the lease,
-- entries of the stream, the word's number, a line for each user: "n" (online), "a" (away) or "f" (offline) and the name. Answers 0
-- when nothing is known of the node: changes say nothing then, and nothing is done.
local known = redis.call('EXISTS', KEYS[3])
if known == 0 and ARGV[2] == 'changes' then return 0 end
if ARGV[2] ~= 'changes' then redis.call('DEL', KEYS[3]) end
if ARGV[2] == 'left' then
  redis.call('SREM', KEYS[2], ARGV[1])
else
  -- The empty name is nobody's: it holds the number of the last word, and the lease of a node without users.
  redis.call('HSET', KEYS[3], '', ARGV[5])
  for state, user in ARGV[6]:gmatch('(%a)([^\n]*)\n') do
    if state == 'f' then
      redis.call('HDEL', KEYS[3], user)
    else
      redis.call('HSET', KEYS[3], user, state)
    end
  end
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
  redis.call('SADD', KEYS[2], ARGV[1])
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*',
  'n', redis.call('INCR', KEYS[4]), 'node', ARGV[1], 'kind', ARGV[2], 'word', ARGV[5], 'users', ARGV[6])
return known
