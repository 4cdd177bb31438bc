-- Takes a lease that is free, or prolongs one its owner holds. Tokens only grow, even when the
-- counter was lost, because they are never below the server's clock.
-- KEYS: lease, fence.  ARGV: owner, milliseconds.  Returns the token, or nil when another holds it.
local holder = redis.call('HMGET', KEYS[1], 'owner', 'token')
if holder[1] == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tonumber(holder[2])
end
if holder[1] then return nil end
local now = redis.call('TIME')
local clock = now[1] * 1000 + math.floor(now[2] / 1000)
local token = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, clock)
local text = string.format('%.0f', token)
redis.call('SET', KEYS[2], text)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', text)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return token
