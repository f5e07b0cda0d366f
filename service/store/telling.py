"""What happens to a job is told: the Lua that writes its events and publishes them.

    event   {state, tiles_done, tiles_total}, in the job's stream and on the channel of `jobs.events`

A kernel job tells those who wait for it (its `dependents`) too, whose progress is that of their kernel
jobs. Part of `store.prelude`.
"""

TELLING = """
-- An answer's progress is that of the kernel jobs in its record, if it names any.
local function progress(ref)
  local state, done, total, kernels =
    unpack(redis.call('HMGET', JOB .. ref, 'state', 'tiles_done', 'tiles_total', 'kernels'))
  if kernels then
    done, total = 0, 0
    for _, id in pairs(cjson.decode(kernels)) do
      local kernel = JOB .. tenant_of(ref) .. ':' .. id
      local own, all = unpack(redis.call('HMGET', kernel, 'tiles_done', 'tiles_total'))
      done, total = done + tonumber(own or 0), total + tonumber(all or 0)
    end
  end
  return state, tostring(done), tostring(total)
end

local function tell(ref, ttl)
  local events, state, done, total = JOB .. ref .. ':events', progress(ref)
  local id = redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, '*',
    'state', state, 'tiles_done', done, 'tiles_total', total)
  redis.call('EXPIRE', events, ttl)
  redis.call('PUBLISH', ANNOUNCED, cjson.encode({ref, id, state, done, total}))
end

local function dependents(ref) return redis.call('SMEMBERS', JOB .. ref .. ':dependents') end

-- What happens to a kernel job happens to those who wait for it too, while they do.
local function announce(ref, ttl)
  tell(ref, ttl)
  for _, dependent in ipairs(dependents(ref)) do
    if active(dependent) then tell(dependent, ttl) end
  end
end
"""
