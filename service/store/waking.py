"""Answers wait for kernel jobs: the Lua that wakes them when those come to rest, or fails them.

A kernel job is at rest when it has succeeded and nothing of it is being computed (again). The answers
that it is for are in its `dependents`, and what an answer still waits for in its `awaits`; an answer that
waits for nothing puts its one task into the round. An answer that fails leaves no kernel job running that
nobody else waits for. Part of `store.prelude`.
"""

import json

from service.problem_kinds import KERNEL_CANCELLED, KERNEL_DELETED

# The documents, but for their detail, of what became of a kernel job.
_GONE = {
    what: {"type": kind.type, "title": kind.title, "status": kind.status}
    for what, kind in (("cancelled", KERNEL_CANCELLED), ("deleted", KERNEL_DELETED))
}

WAKING = (
    f"""
local GONE = cjson.decode([[{json.dumps(_GONE)}]])
"""
    """
local function at_rest(ref)
  return redis.call('HGET', JOB .. ref, 'state') == '"succeeded"'
    and redis.call('HLEN', JOB .. ref .. ':asked') == 0
    and redis.call('LLEN', JOB .. ref .. ':pending') == 0
end

local function wake(ref, ttl)
  local known = active(ref) or redis.call('HGET', JOB .. ref, 'state') == '"succeeded"'
  if not known or redis.call('EXISTS', JOB .. ref .. ':awaits') == 1 then return end
  local pending = JOB .. ref .. ':pending'
  if redis.call('LLEN', pending) == 0 then
    redis.call('RPUSH', pending, cjson.encode({'0', name_of(ref), '', ''}))
    redis.call('EXPIRE', pending, ttl)
    redis.call('ZADD', RING, 'NX', redis.call('INCR', TURN), ref)
  end
end

-- A job may have come to rest: those who wait for it need not any longer.
local function rest(ref, ttl)
  if not at_rest(ref) then return end
  for _, dependent in ipairs(dependents(ref)) do
    if redis.call('SREM', JOB .. dependent .. ':awaits', ref) == 1 then wake(dependent, ttl) end
  end
end

local function stop(ref, now, ttl)
  withdraw(ref)
  redis.call('DEL', JOB .. ref .. ':awaits')
  settle(ref, 'cancelled', now, ttl)
  announce(ref, ttl)
end

local function wanted(ref)
  for _, dependent in ipairs(dependents(ref)) do
    if active(dependent) then return true end
  end
end

-- The kernel jobs that were made for this answer, which its record names, stop unless another one is left.
local function let_go(ref, now, ttl)
  for _, id in pairs(cjson.decode(redis.call('HGET', JOB .. ref, 'kernels') or '{}')) do
    local kernel = tenant_of(ref) .. ':' .. id
    if active(kernel) and not wanted(kernel) then stop(kernel, now, ttl) end
  end
end

-- What is not computed yet, and will not be, fails; what was once, and cannot be again, has expired.
local function give_up(ref, now, ttl, problem)
  withdraw(ref)
  redis.call('DEL', JOB .. ref .. ':awaits')
  if active(ref) then
    redis.call('HSET', JOB .. ref, 'error', problem)
    settle(ref, 'failed', now, ttl)
    announce(ref, ttl)
    let_go(ref, now, ttl)
  elseif redis.call('HGET', JOB .. ref, 'state') == '"succeeded"' then
    redis.call('HSET', JOB .. ref, 'error', problem, 'expires_at', now)
    announce(ref, ttl)
  end
end

-- What has succeeded, and needs nothing of the job computed again, stays.
local function disappoint(ref, now, ttl, problem)
  for _, dependent in ipairs(dependents(ref)) do
    local waits = redis.call('SISMEMBER', JOB .. dependent .. ':awaits', ref) == 1
    if waits or active(dependent) then give_up(dependent, now, ttl, problem) end
  end
  redis.call('DEL', JOB .. ref .. ':dependents')
end

local function gone(ref, what)
  local problem = GONE[what]
  problem.detail = 'the kernel job ' .. name_of(ref) .. ' that this needs was ' .. what
  return cjson.encode(problem)
end

local function await(ref, now, ttl, kernels)
  for _, kernel in ipairs(kernels) do
    local state = redis.call('HGET', JOB .. kernel, 'state')
    if not state or state == '"cancelled"' then
      return give_up(ref, now, ttl, gone(kernel, state and 'cancelled' or 'deleted'))
    elseif state == '"failed"' then
      return give_up(ref, now, ttl, redis.call('HGET', JOB .. kernel, 'error'))
    end
    redis.call('SADD', JOB .. kernel .. ':dependents', ref)
    redis.call('EXPIRE', JOB .. kernel .. ':dependents', ttl)
    if not at_rest(kernel) then
      redis.call('SADD', JOB .. ref .. ':awaits', kernel)
      redis.call('EXPIRE', JOB .. ref .. ':awaits', ttl)
    end
  end
  wake(ref, ttl)
end
"""
)
