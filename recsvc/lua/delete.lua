-- Leaves tombstones and tells the stream; what is a tombstone already stays as it is.
-- KEYS: records, changes.  ARGV: kind, tombstone, then ids.
-- Returns the id of the last entry of the stream.
local last
for i = 3, #ARGV do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  if not old or string.match(old, '^{"v":%d+,"f":"(%x*)"') ~= '' then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[2])
    last = redis.call('XADD', KEYS[2], '*', 'k', ARGV[1], 'i', ARGV[i], 'd', ARGV[2])
  end
end
if last then return last end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return newest[1] and newest[1][1] or '0-0'
