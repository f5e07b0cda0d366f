"""What the scripts of dispatch have in common: names, and the steps that several of them take.

Key names are built inside the scripts from the prefixes of `keys`: fine on one server, which Redis
A is; a Redis Cluster would need every key passed in.
"""

from service.store import keys
from service.store.telling import TELLING
from service.store.waking import WAKING

PRELUDE = (
    f"""
local JOB, WAITERS, DELIVERIES = '{keys.JOB_PREFIX}', '{keys.WAITERS_PREFIX}', \
'{keys.DELIVERIES_PREFIX}'
local RING, TURN, INFLIGHT, LIVE = '{keys.RING}', '{keys.TURN}', '{keys.INFLIGHT}', '{keys.LIVE}'
local SPARED, ASIDE, TALLIES = '{keys.SPARED}', '{keys.ASIDE}', '{keys.TALLIES}'
local EVENTS_KEPT, ERROR_ESTIMATE = {keys.EVENTS_KEPT}, '{keys.ERROR_ESTIMATE}'
local ANNOUNCED, PATH_TOKEN = '{keys.ANNOUNCED}', '{keys.PATHS_PREFIX}'
local TOMBSTONE = {int(keys.TOMBSTONE.total_seconds())}
"""
    """
local function tenant_of(ref) return string.match(ref, '^([^:]*):') end
local function name_of(ref) return string.match(ref, ':(.*)$') end

local function active(ref)
  local state = redis.call('HGET', JOB .. ref, 'state')
  return state == '"queued"' or state == '"running"'
end

-- The tile is no longer in flight.
local function land(tile)
  redis.call('HDEL', INFLIGHT, tile)
  redis.call('SREM', SPARED, tile)
end

local function run(ref)
  if redis.call('HGET', JOB .. ref, 'state') == '"queued"' then
    redis.call('HSET', JOB .. ref, 'state', '"running"')
  end
end
"""
    + TELLING
    + """
-- Of tiles only: an answer's task goes a tile's way, and has the name of its record.
local function tally(task, outcome, count)
  if redis.call('EXISTS', JOB .. task) == 0 then
    redis.call('HINCRBY', TALLIES, 'tiles:' .. outcome, count)
  end
end

-- What is stored is the text that came, so that no digit is lost.
local function raise_error(job, name, value)
  local field = ERROR_ESTIMATE .. name
  local known = redis.call('HGET', job, field)
  if not known or tonumber(known) < tonumber(value) then redis.call('HSET', job, field, value) end
end

-- The tiles that the job has asked for no longer wait for it; what nobody waits for stops.
local function withdraw(ref)
  local asked = JOB .. ref .. ':asked'
  for _, digest in ipairs(redis.call('HKEYS', asked)) do
    redis.call('HDEL', WAITERS .. tenant_of(ref) .. ':' .. digest, ref)
  end
  redis.call('DEL', asked, JOB .. ref .. ':pending')
  redis.call('ZREM', RING, ref)
  redis.call('ZREM', ASIDE, ref)
end

-- Each job that has come to an end in this step, behind it its state: it is to live on from now.
local settled = {}

local function settle(ref, state, now, ttl)
  settled[#settled + 1] = ref
  settled[#settled + 1] = state
  redis.call('HSET', JOB .. ref, 'state', '"' .. state .. '"', 'finished_at', now,
    'expires_at', now + ttl)
  redis.call('EXPIRE', JOB .. ref, ttl + TOMBSTONE)
  redis.call('ZREM', LIVE, ref)
  redis.call('HINCRBY', TALLIES, 'jobs:' .. state, 1)
end
"""
    + WAKING
)
