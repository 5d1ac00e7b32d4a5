-- Forgets a database that has neither calls nor counts any more; gives whether it was so.
-- KEYS  1 database: order  2 hours  3 about  4 totals  5 sessions  6 ids
if redis.call('ZCARD', KEYS[1]) > 0 or redis.call('ZCARD', KEYS[2]) > 0 then return 0 end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5], KEYS[6])
return 1
