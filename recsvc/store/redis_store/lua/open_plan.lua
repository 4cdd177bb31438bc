-- A plan is written down: it is to be completed, and the turn of the schedule it is for has been.
-- KEYS: plans, turn.  ARGV: plan id, turn in microseconds (-1 for none).
redis.call('SADD', KEYS[1], ARGV[1])
if ARGV[2] ~= '-1' then redis.call('SET', KEYS[2], ARGV[2]) end
return 1
