-- KEYS: lease.  ARGV: token.  Returns 1, or 0 when the lease was lost.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
