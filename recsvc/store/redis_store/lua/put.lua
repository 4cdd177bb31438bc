-- Stores records and tells the stream. A record whose fingerprint is stored already stays as it is.
-- KEYS: records, changes.  ARGV: kind, model version, then per record id, fingerprint, data, vector.
-- Returns the id of the last entry of the stream.
local records, changes, kind, model = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local last
for i = 3, #ARGV, 4 do
  local id, fingerprint, data, vector = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local old = redis.call('HGET', records, id)
  if not old or string.match(old, '^{"v":%d+,"f":"(%x*)"') ~= fingerprint then
    redis.call('HSET', records, id, data)
    if vector == '' then
      last = redis.call('XADD', changes, '*', 'k', kind, 'i', id, 'd', data)
    else
      last = redis.call('XADD', changes, '*', 'k', kind, 'i', id, 'd', data, 'v', vector, 'm', model)
    end
  end
end
if last then return last end
local newest = redis.call('XREVRANGE', changes, '+', '-', 'COUNT', 1)
return newest[1] and newest[1][1] or '0-0'
