-- Takes acknowledgements of one group: the push does not come again, and counts as an exposure once.
-- KEYS: changes, open, waiting, leased (of the group).  ARGV: key prefix, time, then per push: id,
-- event id, event.  Returns the id of the stream's last entry, then 'acked', 'repeated', 'unknown'.
local prefix, answers, last = ARGV[1], {''}, nil
for i = 3, #ARGV, 3 do
  local id, push = ARGV[i], prefix .. 'push:' .. ARGV[i]
  local found = redis.call('HMGET', push, 'state', 'member')
  local had = redis.call('ZREM', KEYS[3], id) + redis.call('ZREM', KEYS[4], id)
  if not found[1] then
    answers[#answers + 1] = 'unknown'
  else
    if found[1] ~= 'delivered' then
      redis.call('HSET', push, 'state', 'delivered', 'time', ARGV[2])
      redis.call('ZREM', KEYS[2], id)
      redis.call('ZADD', prefix .. 'sent:' .. found[2], 'NX', ARGV[2], id)
      last = redis.call('XADD', KEYS[1], '*', 'k', 'event', 'i', found[2], 'd', ARGV[i + 2],
        'e', ARGV[i + 1])
      had = 1
    end
    answers[#answers + 1] = had > 0 and 'acked' or 'repeated'
  end
end
if not last then
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  last = newest[1] and newest[1][1] or '0-0'
end
answers[1] = last
return answers
