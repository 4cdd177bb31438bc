-- Ties event ids to their content before the events are appended: run in the bucket of the ids.
-- KEYS: one a event id.  ARGV: seconds to remember, then the content hash of each.
-- Returns for each 1, or 0 when the id belongs to other content.
local answers = {}
for i = 1, #KEYS do
  local old = redis.call('SET', KEYS[i], ARGV[i + 1], 'NX', 'GET', 'EX', ARGV[1])
  answers[i] = (not old or old == ARGV[i + 1]) and 1 or 0
end
return answers
