-- Takes back what was leased but not handed out: it waits again, until another time.
-- KEYS: waiting, leased (of one group).  ARGV: key prefix, then per push: id, time.
local prefix = ARGV[1]
for i = 2, #ARGV, 2 do
  local id, push = ARGV[i], prefix .. 'push:' .. ARGV[i]
  if redis.call('ZREM', KEYS[2], id) == 1 then
    redis.call('ZADD', KEYS[1], ARGV[i + 1], id)
    if redis.call('HINCRBY', push, 'sent', -1) <= 0 then
      redis.call('ZREM', prefix .. 'sent:' .. redis.call('HGET', push, 'member'), id)
    end
  end
end
return 1
