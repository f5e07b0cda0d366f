"""The atomic steps of datasets, as Lua that Redis A runs (see `store.datasets`): record, pieces and booking come
and go together. And those of an open one (see `store.uploads`)."""

from service.store.holding import BOOKS

# KEYS of all: record, made, held, books; ARGV: dataset id, what the names of the tenant's pieces begin with,
# OVERHEAD, ttl, expiry of what is booked, ...
_DATASET = (
    BOOKS
    + """
local record, made, held, books = unpack(KEYS)
local id, pieces, overhead, ttl, expiry = unpack(ARGV, 1, 5)
local name = 'dataset:' .. id

local function drop_pieces(stored, count)
  for number = 0, count - 1 do redis.call('DEL', pieces .. stored .. ':' .. number) end
end

-- How many of them are there; they have their full lifetime again.
local function renew_pieces(stored, count)
  local there = 0
  for number = 0, count - 1 do
    there = there + redis.call('EXPIRE', pieces .. stored .. ':' .. number, ttl)
  end
  return there
end

local function hold_dataset(bytes)
  book(held, books, name, bytes + overhead, expiry)
  redis.call('EXPIRE', made, ttl)
  redis.call('ZADD', held, 'XX', 'GT', expiry, 'made:' .. id)
  last_as_long(held, books)
end

-- The record, if it is there with all of its pieces.
local function renewed()
  local text = redis.call('GET', record)
  if not text then return end
  local fields = cjson.decode(text)
  if renew_pieces(fields.stored, fields.pieces) < fields.pieces then return end
  redis.call('EXPIRE', record, ttl)
  hold_dataset(fields.bytes)
  return text
end

-- The record that stands: that of a dataset that is there, and then these pieces go, or this one.
local function keep(text)
  local fields, there = cjson.decode(text), renewed()
  if there then
    drop_pieces(fields.stored, fields.pieces)
    return there
  end
  local broken = redis.call('GET', record)
  if broken then drop_pieces(cjson.decode(broken).stored, cjson.decode(broken).pieces) end
  redis.call('SET', record, text, 'EX', ttl)
  renew_pieces(fields.stored, fields.pieces)
  hold_dataset(fields.bytes)
  return text
end
"""
)
_ALWAYS = "#!lua flags=allow-oom\n" + _DATASET

# -> the record as it stands, or nil; it has its full lifetime again
RENEW = _ALWAYS + "return renewed()"

# ARGV: ..., record JSON -> the record as it stands now, of whoever came first
KEEP = (
    _DATASET
    + """
unbook(held, books, 'pieces:' .. cjson.decode(ARGV[6]).stored)
return keep(ARGV[6])
"""
)

# ARGV: ..., record JSON -> nothing; its pieces go, unless it stands
TAKE_BACK = (
    _ALWAYS
    + """
local fields = cjson.decode(ARGV[6])
unbook(held, books, 'pieces:' .. fields.stored)
if redis.call('GET', record) ~= ARGV[6] then drop_pieces(fields.stored, fields.pieces) end
"""
)

# ARGV: ..., what names of the tenant's uploads begin with -> whether it is gone, with all that is booked for it;
# not while anything is in `made`
DELETE = (
    _ALWAYS
    + """
if redis.call('EXISTS', made) == 1 then return 0 end
local text = redis.call('GET', record)
if text then
  local fields = cjson.decode(text)
  drop_pieces(fields.stored, fields.pieces)
  redis.call('DEL', record, ARGV[6] .. fields.stored)
  unbook(held, books, 'upload:' .. fields.stored)
end
unbook(held, books, name)
unbook(held, books, 'made:' .. id)
return 1
"""
)

# ARGV: ..., what one of them takes, digests -> nothing; for a dataset that is there
REMEMBER = (
    _DATASET
    + """
if redis.call('EXISTS', record) == 0 then return end
local fresh = 0
for i = 7, #ARGV do fresh = fresh + redis.call('SADD', made, ARGV[i]) end
redis.call('EXPIRE', made, ttl)
book_more(held, books, 'made:' .. id, fresh * ARGV[6], expiry)
last_as_long(held, books)
"""
)

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

# KEYS: upload, held, books; ARGV: its id, what names of its pieces begin with, and of masks of its parts, number of
# either at most -> the dataset that it has become, and then nothing is done; else false: it is gone
ABANDON = (
    "#!lua flags=allow-oom\n"
    + BOOKS
    + """
local upload, held, books = unpack(KEYS)
local id, pieces, masks, count = unpack(ARGV)
local sealed = redis.call('HGET', upload, 'dataset')
if sealed then return sealed end
redis.call('DEL', upload)
for number = 0, tonumber(count) - 1 do redis.call('DEL', pieces .. number, masks .. number) end
unbook(held, books, 'upload:' .. id)
"""
)

# KEYS: ..., upload; ARGV: ..., record JSON, upload id, name of the masks of parts up to their number, what the
# upload takes from now on, its expiry -> 1 when its pieces are the dataset now, or the content was there
# already; -1 when the upload is not being sealed
SEAL = (
    _DATASET
    + """
local upload, text, masks = KEYS[5], ARGV[6], ARGV[8]
if redis.call('HGET', upload, 'state') ~= 'sealing' then return -1 end
for _, field in ipairs(redis.call('HKEYS', upload)) do
  if string.sub(field, 1, 5) == 'part:' then redis.call('HDEL', upload, field) end
end
book(held, books, 'upload:' .. ARGV[7], ARGV[9], ARGV[10])
keep(text)
for number = 0, cjson.decode(text).pieces - 1 do redis.call('DEL', masks .. number) end
redis.call('HSET', upload, 'state', 'sealed', 'dataset', id)
return 1
"""
)
