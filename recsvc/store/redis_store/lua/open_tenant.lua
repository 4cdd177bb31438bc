-- Fixes a tenant's bucket count when it is created; later callers learn what it is.
-- KEYS: meta.  ARGV: bucket count, layout version.  Returns {bucket count, layout version}.
redis.call('HSETNX', KEYS[1], 'buckets', ARGV[1])
redis.call('HSETNX', KEYS[1], 'layout', ARGV[2])
return redis.call('HMGET', KEYS[1], 'buckets', 'layout')
