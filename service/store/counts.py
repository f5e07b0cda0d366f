"""Counts of what is under way, each one look at one moment, as Lua that Redis A runs."""

from service.store import keys

# KEYS: live; ARGV: tenant -> how many of its jobs have not ended
UNFINISHED = """
local count, prefix = 0, ARGV[1] .. ':'
for _, ref in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(ref, 1, #prefix) == prefix then count = count + 1 end
end
return count
"""

# KEYS: live, ring, in flight, aside -> jobs queued, jobs running, tiles that wait, tiles in flight
LOOK = (
    f"local JOB = '{keys.JOB_PREFIX}'"
    """
local queued, running, pending = 0, 0, 0
for _, ref in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if redis.call('HGET', JOB .. ref, 'state') == '"queued"' then
    queued = queued + 1
  else
    running = running + 1
  end
end
for _, ref in ipairs(redis.call('ZUNION', 2, KEYS[2], KEYS[4])) do
  pending = pending + redis.call('LLEN', JOB .. ref .. ':pending')
end
return {queued, running, pending, redis.call('HLEN', KEYS[3])}
"""
)
