"""The atomic steps of dispatch, as Lua that Redis A runs. What each does is said in `dispatch.py`."""

from service.store.prelude import PRELUDE

# ARGV: places of the shared lane, how many of them are for waiting in, places of the spare lane, now,
# ttl -> tasks to enqueue, as the JSON kept in INFLIGHT
TAKE = (
    PRELUDE
    + """
local waiting, now, ttl = tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[5])
for _, ref in ipairs(redis.call('ZRANGEBYSCORE', ASIDE, '-inf', now)) do
  redis.call('ZREM', ASIDE, ref)
  redis.call('ZADD', RING, 'NX', redis.call('INCR', TURN), ref)
end
local spared = redis.call('SCARD', SPARED)
local free = {spare = tonumber(ARGV[3]) - spared}
free.shared = tonumber(ARGV[1]) - (redis.call('HLEN', INFLIGHT) - spared)
local function unserved()
  -- Jobs that have tiles in flight are at most as many as these, so the first without is not far back.
  for _, ref in ipairs(redis.call('ZRANGE', RING, 0, redis.call('HLEN', INFLIGHT))) do
    if redis.call('EXISTS', JOB .. ref .. ':asked') == 0 then
      redis.call('ZREM', RING, ref)
      return ref
    end
  end
end
local function next_job()
  if free.shared <= waiting and free.spare > 0 then
    local ref = unserved()
    if ref then return ref, 'spare' end
  end
  if free.shared > 0 then return redis.call('ZPOPMIN', RING)[1], 'shared' end
end
local taken = {}
while true do
  local ref, lane = next_job()
  if not ref then break end
  local pending, asked = JOB .. ref .. ':pending', JOB .. ref .. ':asked'
  local entry = redis.call('LPOP', pending)
  local task = redis.call('HGET', JOB .. ref, 'queue_task')
  if entry and task then
    local indices, digest, rows1, rows2 = unpack(cjson.decode(entry))
    local tile = tenant_of(ref) .. ':' .. digest
    redis.call('HSET', WAITERS .. tile, ref, indices)
    redis.call('EXPIRE', WAITERS .. tile, ttl)
    redis.call('HSET', asked, digest, indices)
    redis.call('EXPIRE', asked, ttl)
    if redis.call('HEXISTS', INFLIGHT, tile) == 0 then
      local flight = cjson.encode({owner = ref, tile = tile, rows1 = rows1, rows2 = rows2,
        task = task, lane = lane, flight = tostring(redis.call('INCR', TURN))})
      redis.call('HSET', INFLIGHT, tile, flight)
      if lane == 'spare' then redis.call('SADD', SPARED, tile) end
      free[lane] = free[lane] - 1
      taken[#taken + 1] = flight
    end
    if redis.call('LLEN', pending) > 0 then
      redis.call('ZADD', RING, redis.call('INCR', TURN), ref)
    end
  end
end
return taken
"""
)

# ARGV: tile, now, ttl, deliveries ttl -> how often the tile has been begun; 0: nobody waits for it
BEGIN = (
    PRELUDE
    + """
local tile, now, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local refs = redis.call('HKEYS', WAITERS .. tile)
if #refs == 0 then
  land(tile)
  redis.call('DEL', DELIVERIES .. tile)
  return 0
end
for _, ref in ipairs(refs) do
  if active(ref) and redis.call('HSETNX', JOB .. ref, 'started_at', now) == 1 then
    run(ref)
    for _, dependent in ipairs(dependents(ref)) do run(dependent) end
    announce(ref, ttl)
  end
end
local count = redis.call('INCR', DELIVERIES .. tile)
redis.call('EXPIRE', DELIVERIES .. tile, tonumber(ARGV[4]))
return count
"""
)

# KEYS: deliveries; one beginning less, if any is counted. In a full store too, where no tile is at
# fault.
UNBEGIN = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DECR', KEYS[1]) end
"""

# ARGV: tile, when its jobs' turn may come again, ttl -> nothing; the tile is theirs to ask for again,
# and until then none of theirs is handed out
SET_ASIDE = (
    PRELUDE
    + """
local tile, till, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local flight = redis.call('HGET', INFLIGHT, tile)
if not flight then return end
local rows = cjson.decode(flight)
local waiting = redis.call('HGETALL', WAITERS .. tile)
land(tile)
redis.call('DEL', WAITERS .. tile)
for i = 1, #waiting, 2 do
  local ref, indices = waiting[i], waiting[i + 1]
  local pending = JOB .. ref .. ':pending'
  redis.call('LPUSH', pending, cjson.encode({indices, name_of(tile), rows.rows1, rows.rows2}))
  redis.call('EXPIRE', pending, ttl)
  redis.call('ZREM', RING, ref)
  redis.call('ZADD', ASIDE, till, ref)
end
"""
)

# ARGV: tile, computed (1) or found in the cache (0), now, ttl, provenance JSON, then name and value
# of each error that was estimated -> jobs that ended
FINISH = (
    PRELUDE
    + """
local tile, computed, now, ttl = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4])
local provenance = ARGV[5]
local flight = redis.call('HGET', INFLIGHT, tile)
local owner = flight and cjson.decode(flight).owner
local waiting = redis.call('HGETALL', WAITERS .. tile)
if not owner or redis.call('HEXISTS', WAITERS .. tile, owner) == 0 then owner = waiting[1] end
land(tile)
redis.call('DEL', DELIVERIES .. tile, WAITERS .. tile)
if computed then tally(tile, 'computed', 1) end
local ended = {}
for i = 1, #waiting, 2 do
  local ref, indices = waiting[i], waiting[i + 1]
  local job, done = JOB .. ref, JOB .. ref .. ':done'
  redis.call('HDEL', job .. ':asked', name_of(tile))
  if redis.call('EXISTS', job) == 1 then
    for e = 6, #ARGV, 2 do raise_error(job, ARGV[e], ARGV[e + 1]) end
    local fresh = 0
    for index in string.gmatch(indices, '%d+') do
      fresh = fresh + redis.call('SADD', done, index)
    end
    redis.call('EXPIRE', done, ttl)
    if fresh > 0 then
      local own = (computed and ref == owner) and 1 or 0
      redis.call('HINCRBY', job, 'tiles_done', fresh)
      redis.call('HINCRBY', job, 'tiles_computed', own)
      redis.call('HINCRBY', job, 'tiles_reused', fresh - own)
      tally(tile, 'reused', fresh - own)
      redis.call('HSET', job, 'provenance', provenance)
      redis.call('HSETNX', job, 'first_tile_at', now)
    end
    if active(ref) and redis.call('HGET', job, 'tiles_done') == redis.call('HGET', job,
        'tiles_total') then
      settle(ref, 'succeeded', now, ttl)
      ended[#ended + 1] = ref
    end
    announce(ref, ttl)
    rest(ref, ttl)
  end
end
return ended
"""
)

# ARGV: tile, now, ttl, problem JSON -> jobs that ended and their states; those that had succeeded, and asked
# for it again, have expired
FAIL = (
    PRELUDE
    + """
local tile, now, ttl, problem = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local refs = redis.call('HKEYS', WAITERS .. tile)
land(tile)
redis.call('DEL', DELIVERIES .. tile, WAITERS .. tile)
tally(tile, 'failed', 1)
for _, ref in ipairs(refs) do
  give_up(ref, now, ttl, problem)
  disappoint(ref, now, ttl, problem)
end
return settled
"""
)

# ARGV: job, now, ttl -> jobs that ended, if it was unfinished, and their states
CANCEL = (
    PRELUDE
    + """
local ref, now, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not active(ref) then return {} end
stop(ref, now, ttl)
disappoint(ref, now, ttl, gone(ref, 'cancelled'))
return settled
"""
)

# ARGV: job, its list of jobs, now, ttl, names of its parts -> jobs that ended with it, and their states
DELETE = (
    PRELUDE
    + """
local ref = ARGV[1]
withdraw(ref)
disappoint(ref, ARGV[3], tonumber(ARGV[4]), gone(ref, 'deleted'))
redis.call('ZREM', LIVE, ref)
redis.call('ZREM', ARGV[2], name_of(ref))
for _, digest in ipairs(redis.call('ZRANGE', JOB .. ref .. ':tokens', 0, -1)) do
  redis.call('DEL', PATH_TOKEN .. digest)
end
redis.call('DEL', JOB .. ref)
for i = 5, #ARGV do redis.call('DEL', JOB .. ref .. ':' .. ARGV[i]) end
return settled
"""
)

# ARGV: job, ttl, entries as in pending -> how many were not already asked for
REFILL = (
    PRELUDE
    + """
local ref, ttl, added = ARGV[1], tonumber(ARGV[2]), 0
local pending, asked = JOB .. ref .. ':pending', JOB .. ref .. ':asked'
for i = 3, #ARGV do
  local indices, digest = unpack(cjson.decode(ARGV[i]))
  if redis.call('HSETNX', asked, digest, indices) == 1 then
    redis.call('RPUSH', pending, ARGV[i])
    added = added + 1
  end
end
if added > 0 then
  redis.call('EXPIRE', pending, ttl)
  redis.call('EXPIRE', asked, ttl)
  redis.call('ZADD', RING, 'NX', redis.call('INCR', TURN), ref)
end
return added
"""
)

# ARGV: answer, now, ttl, kernel jobs -> nothing; the answer, which is new, waits until they are all at
# rest
AWAIT = (
    PRELUDE
    + """
for i = 4, #ARGV do
  if redis.call('HGET', JOB .. ARGV[i], 'state') == '"running"' then run(ARGV[1]) end
end
tell(ARGV[1], tonumber(ARGV[3]))
await(ARGV[1], ARGV[2], tonumber(ARGV[3]), {unpack(ARGV, 4)})
"""
)

# ARGV: answer, now, ttl, kernel jobs -> how often it has been put off; like AWAIT, of a task that is
# running and found that tiles were evicted
POSTPONE = (
    PRELUDE
    + """
local ref = ARGV[1]
land(ref)
redis.call('DEL', DELIVERIES .. ref)
if redis.call('EXISTS', WAITERS .. ref) == 0 then return 0 end
await(ref, ARGV[2], tonumber(ARGV[3]), {unpack(ARGV, 4)})
return redis.call('HINCRBY', JOB .. ref, 'postponed', 1)
"""
)
