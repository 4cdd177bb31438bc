-- Leases pushes to a consumer: first those whose lease has ended (by the server's clock), then those
-- whose release has come (by the caller's). With `together` the other due pushes of their members
-- come along, so that a digest is whole.
-- KEYS: waiting, leased (of one group).  ARGV: key prefix, time, lease in milliseconds, most, 1 for
-- together.  Returns per push: id, push, how often it was handed out before, its place among what
-- the member was handed in the last week and day.
local waiting, leased = KEYS[1], KEYS[2]
local prefix, now, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local server = clock[1] * 1000 + math.floor(clock[2] / 1000)
local until_time = string.format('%.0f', server + tonumber(ARGV[3]))
local taken, found, done = {}, {}, {}
local function take(id)
  if done[id] then return nil end
  done[id] = true
  local push = prefix .. 'push:' .. id
  redis.call('ZREM', waiting, id)
  local member = redis.call('HGET', push, 'member')
  if not member then
    redis.call('ZREM', leased, id)
    return nil
  end
  redis.call('ZADD', leased, until_time, id)
  local sent = prefix .. 'sent:' .. member
  redis.call('ZADD', sent, 'NX', now, id)
  redis.call('ZREMRANGEBYSCORE', sent, '-inf', now - 28 * 86400000)
  redis.call('PEXPIRE', sent, 28 * 86400000)
  local before = redis.call('HINCRBY', push, 'sent', 1) - 1
  local rank = redis.call('ZRANK', sent, id) or 0
  local week = rank - redis.call('ZCOUNT', sent, '-inf', now - 7 * 86400000)
  local day = rank - redis.call('ZCOUNT', sent, '-inf', now - 86400000)
  found[#found + 1] = {id, redis.call('HGET', push, 'push'), before, week, day}
  return member
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', server, 'LIMIT', 0, most)) do
  taken[#taken + 1] = id
end
if #taken < most then
  local due = redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, most - #taken)
  for _, id in ipairs(due) do taken[#taken + 1] = id end
end
for _, id in ipairs(taken) do
  local member = take(id)
  if member and ARGV[5] == '1' then
    for _, other in ipairs(redis.call('ZRANGE', prefix .. 'planned:' .. member, 0, -1)) do
      local release = redis.call('ZSCORE', waiting, other)
      if release and tonumber(release) <= now then take(other) end
    end
  end
end
return found
