-- Drops stream entries before an id and remembers how far; never past the last entry.
-- KEYS: changes, trimmed.  ARGV: id.  Returns how many entries went.
local function before(a, b)
  local a_ms, a_seq = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_seq = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_seq) < tonumber(b_seq)
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if not newest[1] then return 0 end
local point = before(newest[1][1], ARGV[1]) and newest[1][1] or ARGV[1]
local mark = redis.call('GET', KEYS[2])
if mark and not before(mark, point) then return 0 end
redis.call('SET', KEYS[2], point)
return redis.call('XTRIM', KEYS[1], 'MINID', point)
