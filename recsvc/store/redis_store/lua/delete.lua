-- Leaves tombstones and tells the stream; what is a tombstone already stays as it is. The conflicts
-- of a deleted member (their ids are `<member id>~<hash>`) go with it.
-- KEYS: records, changes, conflicts.  ARGV: kind, tombstone, then ids.
-- Returns the id of the last entry of the stream.
local last
local function bury(records, kind, id)
  local old = redis.call('HGET', records, id)
  if not old or string.match(old, '^{"v":%d+,"f":"(%x*)"') ~= '' then
    redis.call('HSET', records, id, ARGV[2])
    last = redis.call('XADD', KEYS[2], '*', 'k', kind, 'i', id, 'd', ARGV[2])
  end
end
local deleted = {}
for i = 3, #ARGV do
  bury(KEYS[1], ARGV[1], ARGV[i])
  deleted[ARGV[i]] = true
end
if ARGV[1] == 'member' then
  for _, id in ipairs(redis.call('HKEYS', KEYS[3])) do
    if deleted[string.match(id, '^(.*)~')] then bury(KEYS[3], 'conflict', id) end
  end
end
if last then return last end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return newest[1] and newest[1][1] or '0-0'
