"""Transitions of jobs in Redis: each is one script, so that it is atomic."""

CREATE = """
local current = redis.call('HMGET', KEYS[1], 'user', 'status')
local running = current[2] == 'running' or current[2] == 'requires_action'
if running and current[1] ~= ARGV[2] then return {'foreign'} end
local last = redis.call('GET', KEYS[2])
if ARGV[4] ~= '' and last and (last ~= ARGV[4] or running) then
  return {'predecessor', last, last == ARGV[4] and 1 or 0, running and 1 or 0}
end
if ARGV[5] ~= '' then
  local others = redis.call('SCARD', KEYS[3]) - redis.call('SISMEMBER', KEYS[3], ARGV[1])
  if others >= tonumber(ARGV[5]) then return {'limit', others} end
end
local created = tonumber(ARGV[3])
if last and tonumber(last) >= created then created = tonumber(last) + 1 end
local text = string.format('%.0f', created)
local replaced = {}
if running then replaced = redis.call('HGETALL', KEYS[1]) end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'created', text, unpack(ARGV, 8))
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('SET', KEYS[2], text, 'PX', ARGV[7])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], created, ARGV[1])
return {'ok', text, replaced}
"""
"""KEYS job, last creation time, jobs of the user, unfinished jobs; ARGV stream, user, now,
predecessor or '', limit or '', life of the record, life of the creation time, then the
record's fields and values."""

SETTLE = """
local current = redis.call('HMGET', KEYS[1], 'created', 'status')
if current[1] ~= ARGV[1] then return 0 end
if current[2] ~= 'running' and current[2] ~= 'requires_action' then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'saving', '1')
redis.call('SREM', KEYS[2], ARGV[3])
return 1
"""
"""KEYS job, jobs of the user; ARGV creation time, new status, stream."""

UPDATE = """
if redis.call('HGET', KEYS[1], 'created') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'details', ARGV[2])
return 1
"""
"""KEYS job; ARGV creation time, details."""

FINISH = """
if redis.call('HGET', KEYS[1], 'created') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'saving', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[3])
return 1
"""
"""KEYS job, unfinished jobs; ARGV creation time, ms to keep it, stream."""
