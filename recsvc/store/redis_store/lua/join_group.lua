-- Makes a group of consumers known; it begins with what nobody has acknowledged yet.
-- KEYS: groups, open, waiting of the group.  ARGV: key prefix, group.  Returns 1 when it is new.
if redis.call('SADD', KEYS[1], ARGV[2]) == 0 then return 0 end
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local release = redis.call('HGET', ARGV[1] .. 'push:' .. id, 'release')
  if release then redis.call('ZADD', KEYS[3], release, id) end
end
return 1
