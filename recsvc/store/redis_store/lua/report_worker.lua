-- A worker's heartbeat; forgets those that have expired, so that the table stays small.
-- KEYS: workers.  ARGV: worker id, data, milliseconds to live (0 forgets the worker at once).
local now = redis.call('TIME')
local clock = now[1] * 1000 + math.floor(now[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '^%d+')) <= clock then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
if ARGV[3] == '0' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  local expiry = string.format('%.0f', clock + tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], ARGV[1], expiry .. ' ' .. ARGV[2])
end
return 1
