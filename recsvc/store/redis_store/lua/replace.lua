-- Stores one record if the stored one still has the expected fingerprint ('' = absent or deleted).
-- KEYS: records, changes.  ARGV: kind, model version, id, expected fingerprint, data, vector.
-- Returns the id of the new entry, or '' when the record has changed.
local old = redis.call('HGET', KEYS[1], ARGV[3])
local found = old and string.match(old, '^{"v":%d+,"f":"(%x*)"') or ''
if found ~= ARGV[4] then return '' end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[5])
if ARGV[6] == '' then
  return redis.call('XADD', KEYS[2], '*', 'k', ARGV[1], 'i', ARGV[3], 'd', ARGV[5])
end
return redis.call(
  'XADD', KEYS[2], '*', 'k', ARGV[1], 'i', ARGV[3], 'd', ARGV[5], 'v', ARGV[6], 'm', ARGV[2])
