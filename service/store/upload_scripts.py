"""The atomic steps of an open dataset, as Lua that Redis A runs (see `store.uploads`)."""

# KEYS: upload, where a part came in, its place, where its mask came in, the mask's place;
# ARGV: part, its digest, expiry, whether it has a mask -> the upload's state, or ""
FILL = """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'open' then
  redis.call('DEL', KEYS[2], KEYS[4])
  return state or ''
end
redis.call('RENAME', KEYS[2], KEYS[3])
redis.call('EXPIREAT', KEYS[3], ARGV[3])
if ARGV[4] == '1' then
  redis.call('RENAME', KEYS[4], KEYS[5])
  redis.call('EXPIREAT', KEYS[5], ARGV[3])
else
  redis.call('DEL', KEYS[5])
end
redis.call('HSET', KEYS[1], 'part:' .. ARGV[1], ARGV[2])
return state
"""

# KEYS: upload; ARGV: number of parts -> the state that it has now, or ""; it stays open while
# parts are missing
CLOSE = """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'open' then return state or '' end
for part = 0, tonumber(ARGV[1]) - 1 do
  if redis.call('HEXISTS', KEYS[1], 'part:' .. part) == 0 then return state end
end
redis.call('HSET', KEYS[1], 'state', 'sealing')
return 'sealing'
"""

# KEYS: upload, the dataset's record, held; ARGV: dataset id, record JSON, ttl, booking to drop,
# booking to make, its expiry, name of the pieces up to their number, number of them, the same for
# the masks of parts -> 1 when the upload's pieces are the dataset now, 0 when the content was
# there already, -1 when the upload is not being sealed
KEEP = """
if redis.call('HGET', KEYS[1], 'state') ~= 'sealing' then return -1 end
local ttl, count = tonumber(ARGV[3]), tonumber(ARGV[8])
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('ZADD', KEYS[3], 'GT', tonumber(ARGV[6]), ARGV[5])
local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
redis.call('EXPIREAT', KEYS[3], math.ceil(tonumber(last)))
local fresh = redis.call('SET', KEYS[2], ARGV[2], 'NX', 'EX', ttl)
for number = 0, count - 1 do
  if fresh then redis.call('EXPIRE', ARGV[7] .. number, ttl)
  else redis.call('DEL', ARGV[7] .. number) end
end
for number = 0, count - 1 do redis.call('DEL', ARGV[9] .. number) end
redis.call('HSET', KEYS[1], 'state', 'sealed', 'dataset', ARGV[1])
return fresh and 1 or 0
"""
