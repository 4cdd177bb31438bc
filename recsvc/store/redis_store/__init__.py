"""The store on a Redis-protocol server: Redis, Valkey, Sentinel, Cluster. The only user of redis.

connection  URLs, clients, timeouts, foreign errors
scripts     the Lua scripts, one atomic step in one slot each
keys        names of keys, buckets
base        tenants and their bucket counts
records     members, leads, organizations, conflicts
events      participation events
claims      who holds which lead
outbox      pushes on their way to members; outbox_reads looks them up
plans       plans that are not all in the outbox yet, pauses
stream      reading and trimming the change stream
control     activations, workers, leases, durability
"""

from recsvc.store.redis_store.store import RedisStore

__all__ = ["RedisStore"]
