-- A user's presence, shared by all scripts: it is put before each of them.
--
-- All keys of a user carry the hash tag of their shard, and so does KEYS[1], which routes the call:
--   <prefix>:{<shard>}:sessions:<user>   hash: a connection → "<expires> <status> <gateway>", and the field
--                                        "@" → "<last seen> <told> <version> <acknowledged>"
--   <prefix>:{<shard>}:last_deadline     users by the latest deadline of their connections: online if above now
--   <prefix>:{<shard>}:next_deadline     users with several connections by the earliest deadline of these
--   <prefix>:{<shard>}:pending           users whose change is to be published, by the time to publish it: 0 when
--                                        a lease changed it, 1 when a sweep found it, later while unacknowledged
--   <prefix>:{<shard>}:transitions       stream of published changes
-- Times are milliseconds of this server's clock. A user is forgotten so long after the last connection ended.

local prefix = ARGV[1]
local remember = ARGV[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Lua would write a large number with an exponent.
local function integer(number)
  return string.format('%.0f', number)
end

local tags = {}

local function tag_of(shard)
  local tag = tags[shard]
  if not tag then
    tag = prefix .. ':{' .. shard .. '}:'
    tags[shard] = tag
  end
  return tag
end

local function load(tag, name)
  local user = {
    name = name, tag = tag, key = tag .. 'sessions:' .. name, sessions = {}, stored = 0, known = false,
    seen = '0', told = 'OFFLINE', version = '0', acknowledged = '0',
  }
  local flat = redis.call('HGETALL', user.key)
  for i = 1, #flat, 2 do
    user.known = true
    if flat[i] == '@' then
      local seen, told, version, acknowledged = string.match(flat[i + 1], '^(%d+) (%u+) (%d+) (%d+)$')
      if seen then
        user.seen, user.told, user.version, user.acknowledged = seen, told, version, acknowledged
      end
    else
      local expires, status, gateway = string.match(flat[i + 1], '^(%d+) (%u+) (.*)$')
      if expires then
        user.sessions[flat[i]] = { expires = tonumber(expires), status = status, gateway = gateway }
        user.stored = user.stored + 1
      end
    end
  end
  return user
end

-- Online when any connection that counts is, away when all are; with the latest and the earliest deadline
-- and how many connections count.
local function judge(user)
  local status, last, first, count = 'OFFLINE', 0, 0, 0
  for _, session in pairs(user.sessions) do
    local expires = session.expires
    if now < expires then
      count = count + 1
      if status ~= 'ONLINE' then status = session.status end
      if count == 1 or expires < first then first = expires end
      if expires > last then last = expires end
    end
  end
  return status, last, first, count
end

local function remembered(user)
  return user.seen .. ' ' .. user.told .. ' ' .. user.version .. ' ' .. user.acknowledged
end

-- Forgets what is over and makes the indexes true. `stored` is how many connections the indexes know of;
-- a change is to be told at `tell_at`.
local function settle(user, tell_at)
  local status, last, first, count = judge(user)
  for id, session in pairs(user.sessions) do
    if now >= session.expires then
      redis.call('HDEL', user.key, id)
      user.sessions[id] = nil
    end
  end
  local until_text = integer(last)
  if count > 0 then
    redis.call('ZADD', user.tag .. 'last_deadline', until_text, user.name)
    if user.stored == 0 then redis.call('PERSIST', user.key) end
  else
    redis.call('ZREM', user.tag .. 'last_deadline', user.name)
    redis.call('PEXPIRE', user.key, remember)
  end
  if count > 1 then
    redis.call('ZADD', user.tag .. 'next_deadline', integer(first), user.name)
  elseif user.stored > 1 then
    redis.call('ZREM', user.tag .. 'next_deadline', user.name)
  end
  user.stored = count
  if status ~= user.told then
    redis.call('ZADD', user.tag .. 'pending', tell_at, user.name)
  end
  return status, until_text
end
