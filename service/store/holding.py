"""What a tenant's stored inputs and jobs take, as Lua that Redis A runs: booked before they are written, given
back when no job needs them."""

# KEYS: users, rows or architecture, held; ARGV: job, member of held -> 1 when nobody else needs them
RELEASE = """
redis.call('SREM', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[2])
return 1
"""

# KEYS: held; ARGV: name -> nothing; what was booked under it is not any more, whatever its size
UNBOOK = """
local prefix = ARGV[1] .. '|'
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(member, 1, #prefix) == prefix then redis.call('ZREM', KEYS[1], member) end
end
"""

# KEYS: held; ARGV: now, quota, expiry, book (1) or only look (0), then name, bytes, ...
# -> {1, bytes after, what was not booked before} when all fit (and are now booked), {0, bytes that they
# would make}
HOLD = """
local now, quota, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local total, names, fresh = 0, {}, {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  total = total + tonumber(string.match(member, '|(%d+)$'))
  names[member] = true
end
for i = 5, #ARGV, 2 do
  local member = ARGV[i] .. '|' .. ARGV[i + 1]
  if not names[member] then
    total = total + tonumber(ARGV[i + 1])
    names[member] = true
    fresh[#fresh + 1] = member
  end
end
if total > quota then return {0, total} end
if ARGV[4] == '0' then return {1, total} end
for i = 5, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'GT', expiry, ARGV[i] .. '|' .. ARGV[i + 1])
end
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if last then redis.call('EXPIREAT', KEYS[1], math.ceil(tonumber(last))) end
return {1, total, fresh}
"""
