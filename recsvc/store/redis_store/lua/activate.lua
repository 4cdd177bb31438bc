-- Appends an activation record and tells the stream.
-- KEYS: activations, changes.  ARGV: model version, data.  Returns the id of the new entry.
redis.call('RPUSH', KEYS[1], ARGV[2])
return redis.call('XADD', KEYS[2], '*', 'k', 'activation', 'i', ARGV[1], 'd', ARGV[2])
