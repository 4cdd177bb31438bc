-- Puts pushes of a plan into the outbox, each once, within the member's caps; refuses a planner
-- whose lease was taken over. Pushes that nobody fetched in time are ended on the way.
-- KEYS: fence, open, groups, log.  ARGV: key prefix, fencing token, seconds to keep records, time,
-- then per push: id, member, release, expiry (milliseconds), cap a week, cap a day, push, detail.
-- Returns {'fenced'}, or for each push 'new', 'same' or 'capped'.
local fence, open, groups, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, token, keep, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local week, day, slack = 7 * 86400000, 86400000, 100
if tonumber(token) < tonumber(redis.call('GET', fence) or '0') then return {'fenced'} end
redis.call('SET', fence, token)
local names = redis.call('SMEMBERS', groups)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', open, '-inf', now, 'LIMIT', 0, slack)) do
  redis.call('ZREM', open, id)
  for _, group in ipairs(names) do
    redis.call('ZREM', prefix .. 'waiting:' .. group, id)
    redis.call('ZREM', prefix .. 'leased:' .. group, id)
  end
  local push = prefix .. 'push:' .. id
  local found = redis.call('HMGET', push, 'member', 'sent')
  if found[1] then
    redis.call('HSET', push, 'state', 'dropped', 'why', 'EXPIRED', 'time', ARGV[4])
    if found[2] == '0' then redis.call('ZREM', prefix .. 'planned:' .. found[1], id) end
  end
end
redis.call('ZREMRANGEBYSCORE', log, '-inf', now - 1000 * tonumber(keep))
local answers = {}
for i = 5, #ARGV, 8 do
  local id, member, release, expiry = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local push, planned = prefix .. 'push:' .. id, prefix .. 'planned:' .. member
  local answer = 'new'
  local there = redis.call('HMGET', push, 'state', 'sent')
  -- What was dropped before anybody saw it may be planned again; everything else is there once.
  if there[1] and not (there[1] == 'dropped' and there[2] == '0') then
    answer = 'same'
  elseif redis.call('ZCOUNT', planned, '(' .. (release - week), '+inf') >= tonumber(ARGV[i + 4])
      or redis.call('ZCOUNT', planned, '(' .. (release - day), '+inf') >= tonumber(ARGV[i + 5]) then
    answer = 'capped'
  else
    redis.call('HSET', push, 'member', member, 'release', ARGV[i + 2], 'push', ARGV[i + 6],
      'detail', ARGV[i + 7], 'state', 'waiting', 'why', '', 'time', ARGV[4], 'sent', '0')
    redis.call('EXPIRE', push, keep)
    redis.call('ZREMRANGEBYSCORE', planned, '-inf', release - 4 * week)
    redis.call('ZADD', planned, release, id)
    redis.call('PEXPIRE', planned, math.max(release - now, 0) + 4 * week)
    redis.call('ZADD', open, expiry, id)
    redis.call('ZADD', log, now, id)
    for _, group in ipairs(names) do
      redis.call('ZADD', prefix .. 'waiting:' .. group, release, id)
    end
  end
  answers[#answers + 1] = answer
end
return answers
