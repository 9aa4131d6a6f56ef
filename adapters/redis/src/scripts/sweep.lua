-- Ends leases and gives what has changed, at most so many users at a time.
--
-- ARGV: prefix, users at most, after how many ms a change that nobody acknowledged is told again, length of
-- the stream, how many shards, the shards, then three for each change that has arrived: shard, user, version.
-- Answers: 1 when there is more, the greatest delay of a lease's end in ms, then six for each change: shard,
-- user, status, last seen, latest deadline, version.
--
-- Whoever is told is marked in the same moment, so of many sweeps one gives a change; a change whose answer
-- got lost is told again with its version, which is greater than any the user had before, even after this
-- server lost its memory.

local left = tonumber(ARGV[2])
local again_at = integer(now + tonumber(ARGV[3]))
local stream_length = ARGV[4]
local shards = tonumber(ARGV[5])

for i = 6 + shards, #ARGV, 3 do
  local user = load(tag_of(ARGV[i]), ARGV[i + 1])
  if user.known and user.version == tonumber(ARGV[i + 2]) then
    user.acknowledged = user.version
    redis.call('HSET', user.key, '@', remembered(user))
    if user.told == judge(user) then
      redis.call('ZREM', user.tag .. 'untold', user.name)
    end
  end
end

local changes, latest = {}, 0

local function tell(shard, user)
  local status, last = settle(user)
  if status == user.told and user.version == user.acknowledged then
    redis.call('ZREM', user.tag .. 'untold', user.name)
    return
  end
  if status ~= user.told then
    user.told = status
    user.version = math.max(user.version + 1, now)
    redis.call('HSET', user.key, '@', remembered(user))
    redis.call('XADD', user.tag .. 'transitions', 'MAXLEN', '~', stream_length, '*',
      'user', user.name, 'status', status, 'lastSeen', user.seen, 'version', integer(user.version))
  end
  redis.call('ZADD', user.tag .. 'untold', again_at, user.name)
  local change = { shard, user.name, status, user.seen, integer(last), integer(user.version) }
  for _, part in ipairs(change) do changes[#changes + 1] = part end
end

for i = 6, 5 + shards do
  local shard = ARGV[i]
  local tag = tag_of(shard)
  if left > 0 then
    local due = redis.call('ZRANGEBYSCORE', tag .. 'deadlines', '-inf', integer(now), 'WITHSCORES', 'LIMIT', '0', left)
    for j = 1, #due, 2 do
      latest = math.max(latest, now - tonumber(due[j + 1]))
      settle(load(tag, due[j]))
      left = left - 1
    end
  end
  if left > 0 then
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', tag .. 'untold', '-inf', integer(now), 'LIMIT', '0', left)) do
      tell(shard, load(tag, name))
      left = left - 1
    end
  end
end

local answer = { left > 0 and '0' or '1', integer(latest) }
for _, part in ipairs(changes) do answer[#answer + 1] = part end
return answer
