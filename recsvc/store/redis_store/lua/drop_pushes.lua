-- Ends pushes that must not be delivered any more, for all groups. One that was never handed out
-- (but in the lease that found this) frees its place in the member's caps.
-- KEYS: open, groups.  ARGV: key prefix, time, then per push: id, why.
local prefix = ARGV[1]
local names = redis.call('SMEMBERS', KEYS[2])
for i = 3, #ARGV, 2 do
  local id, push = ARGV[i], prefix .. 'push:' .. ARGV[i]
  redis.call('ZREM', KEYS[1], id)
  for _, group in ipairs(names) do
    redis.call('ZREM', prefix .. 'waiting:' .. group, id)
    redis.call('ZREM', prefix .. 'leased:' .. group, id)
  end
  local found = redis.call('HMGET', push, 'state', 'member', 'sent')
  if found[1] == 'waiting' then
    redis.call('HSET', push, 'state', 'dropped', 'why', ARGV[i + 1], 'time', ARGV[2])
    if tonumber(found[3]) <= 1 then
      redis.call('HSET', push, 'sent', '0')
      redis.call('ZREM', prefix .. 'planned:' .. found[2], id)
      redis.call('ZREM', prefix .. 'sent:' .. found[2], id)
    end
  end
end
return 1
