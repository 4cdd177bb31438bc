-- KEYS: workers.  Returns the data of each worker whose heartbeat is alive.
local now = redis.call('TIME')
local clock = now[1] * 1000 + math.floor(now[2] / 1000)
local alive = {}
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
  local expiry, data = string.match(value, '^(%d+) (.*)$')
  if tonumber(expiry) > clock then alive[#alive + 1] = data end
end
return alive
