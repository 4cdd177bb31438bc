-- Appends events to the stream, each id once: run in the bucket of the members. On one server the
-- keys of the ids lie in the buckets of the ids, on a cluster beside the stream (see events.py).
-- KEYS: changes, then one a event.  ARGV: seconds to remember, then per event event id, member id,
-- content hash, data.
-- Returns the id of the stream's last entry, then for each event 'new', 'same' or 'other'.
local answers, last = {''}, nil
for i = 2, #KEYS do
  local a = 4 * i - 6
  local old = redis.call('SET', KEYS[i], ARGV[a + 2], 'NX', 'GET', 'EX', ARGV[1])
  if not old then
    last = redis.call(
      'XADD', KEYS[1], '*', 'k', 'event', 'i', ARGV[a + 1], 'd', ARGV[a + 3], 'e', ARGV[a])
    answers[i] = 'new'
  else
    answers[i] = old == ARGV[a + 2] and 'same' or 'other'
  end
end
if not last then
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  last = newest[1] and newest[1][1] or '0-0'
end
answers[1] = last
return answers
