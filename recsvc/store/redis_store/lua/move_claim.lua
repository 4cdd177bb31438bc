-- One transition of one claim, with everything that follows from it: the number of holders, the
-- lead's record when it is resolved, the participation events, and the answer to the request id.
-- KEYS: claims of the lead (member -> "state time"), holders (lead -> count), answer, leads, changes.
-- ARGV: 1 action, 2 lead, 3 member, 4 new holder, 5 capacity (-1 none), 6 the lead's fingerprint,
-- 7 '1' when the caller refuses, 8 request hash, 9 seconds to keep the answer, 10 time,
-- 11 lead record to store ('' none), then per event: id, member, data.
-- Returns {status, time, holders, capacity, id of the last entry of the stream}.
local claims, holders, answer, leads, changes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local action, lead, member, heir = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local capacity, time = tonumber(ARGV[5]), ARGV[10]

local kept = redis.call('HMGET', answer, 'hash', 'status', 'time', 'holders', 'capacity', 'entry')
if kept[1] then
  if kept[1] ~= ARGV[8] then return {'other', '0', '0', '-1', '0-0'} end
  return {kept[2], kept[3], kept[4], kept[5], kept[6]}
end
if ARGV[7] == '1' then return {'refused', '0', '0', '-1', '0-0'} end
local record = redis.call('HGET', leads, lead)
if action ~= 'release' and record and
    string.match(record, '^{"v":%d+,"f":"(%x*)"') ~= ARGV[6] then
  return {'stale', '0', '0', '-1', '0-0'}
end

local count = tonumber(redis.call('HGET', holders, lead) or '0')
local function state(who)
  local found = redis.call('HGET', claims, who)
  if not found then return nil, nil end
  return string.match(found, '^(%d) (%d+)$')
end
local function put(who, number)
  redis.call('HSET', claims, who, number .. ' ' .. time)
end
local function newest()
  local entry = redis.call('XREVRANGE', changes, '+', '-', 'COUNT', 1)
  return entry[1] and entry[1][1] or '0-0'
end

local mine, since = state(member)
local status, moved = 'done', true
if action == 'claim' then
  if mine == '1' then
    moved, time = false, since
  elseif capacity >= 0 and count >= capacity then
    status, moved = 'full', false
  else
    put(member, '1')
    count = count + 1
  end
elseif mine ~= '1' then
  status, moved = 'not_held', false
elseif action == 'transfer' then
  if state(heir) == '1' then
    status, moved = 'held', false
  else
    put(member, '3')
    put(heir, '1')
  end
else
  put(member, action == 'release' and '2' or '4')
  count = count - 1
end

local entry
if moved then
  if count > 0 then redis.call('HSET', holders, lead, count) else redis.call('HDEL', holders, lead) end
  if ARGV[11] ~= '' then
    redis.call('HSET', leads, lead, ARGV[11])
    redis.call('XADD', changes, '*', 'k', 'lead', 'i', lead, 'd', ARGV[11])
  end
  local told = string.format('{"v":1,"n":%d}', count)
  redis.call('XADD', changes, '*', 'k', 'claim', 'i', lead, 'd', told)
  for i = 12, #ARGV, 3 do
    entry = redis.call(
      'XADD', changes, '*', 'k', 'event', 'i', ARGV[i + 1], 'd', ARGV[i + 2], 'e', ARGV[i])
  end
else
  entry = newest()
end
redis.call('HSET', answer, 'hash', ARGV[8], 'status', status, 'time', time,
  'holders', count, 'capacity', ARGV[5], 'entry', entry)
redis.call('EXPIRE', answer, ARGV[9])
return {status, time, tostring(count), ARGV[5], entry}
