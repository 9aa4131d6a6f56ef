-- Ends leases and gives what has changed, at most so many users at a time.
--
-- ARGV: prefix, how long a user is remembered, users at most, after how many ms a change that nobody
-- acknowledged is told again, length of the stream, how many shards, the shards, then three for each change
-- that has arrived: shard, user, version.
-- Answers: 1 when there is more, the greatest delay of a lease's end in ms, then six for each change: shard,
-- user, status, last seen, latest deadline (0 when nothing is to be shown to others), version.
--
-- Whoever is told is marked in the same moment, so of many sweeps one gives a change; a change whose answer
-- got lost is told again with its version, which is greater than any the user had before, even after this
-- server lost its memory.

local left = tonumber(ARGV[3])
local again_at = integer(now + tonumber(ARGV[4]))
local stream_length = ARGV[5]
local shards = tonumber(ARGV[6])
local now_text = integer(now)

for i = 7 + shards, #ARGV, 3 do
  local user = load(tag_of(ARGV[i]), ARGV[i + 1])
  if user.known and user.version == ARGV[i + 2] then
    user.acknowledged = user.version
    redis.call('HSET', user.key, '@', remembered(user))
    if user.told == judge(user) then
      redis.call('ZREM', user.tag .. 'pending', user.name)
    end
  end
end

local changes, latest = {}, 0

local function tell(shard, user, tell_at)
  local status, last = settle(user, '1')
  if status == user.told and user.version == user.acknowledged then
    redis.call('ZREM', user.tag .. 'pending', user.name)
    return
  end
  if status ~= user.told then
    user.told = status
    user.version = integer(math.max(tonumber(user.version) + 1, now))
    redis.call('HSET', user.key, '@', remembered(user))
    redis.call('XADD', user.tag .. 'transitions', 'MAXLEN', '~', stream_length, '*',
      'user', user.name, 'status', status, 'lastSeen', user.seen, 'version', user.version)
  end
  redis.call('ZADD', user.tag .. 'pending', again_at, user.name)
  -- What a lease changed has been shown to others with the lease.
  if tell_at == '0' then last = '0' end
  local change = { shard, user.name, status, user.seen, last, user.version }
  for _, part in ipairs(change) do changes[#changes + 1] = part end
end

-- Users of an index whose time has come, as many as may still be served; with their times.
local function due(key)
  if left <= 0 then return {} end
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', now_text, 'WITHSCORES', 'LIMIT', '0', left)
  left = left - #found / 2
  return found
end

for i = 7, 6 + shards do
  local shard = ARGV[i]
  local tag = tag_of(shard)
  for _, index in ipairs({ 'last_deadline', 'next_deadline' }) do
    local found = due(tag .. index)
    for j = 1, #found, 2 do
      latest = math.max(latest, now - tonumber(found[j + 1]))
      local user = load(tag, found[j])
      -- Whoever stands in the index is taken out of it even if nothing else is known of them.
      if index == 'next_deadline' then user.stored = math.max(user.stored, 2) end
      settle(user, '1')
    end
  end
  local found = due(tag .. 'pending')
  for j = 1, #found, 2 do
    tell(shard, load(tag, found[j]), found[j + 1])
  end
end

local answer = { left > 0 and '0' or '1', integer(latest) }
for _, part in ipairs(changes) do answer[#answer + 1] = part end
return answer
