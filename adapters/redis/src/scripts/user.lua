-- A user's presence as every script sees it. Stands before each of them.
--
-- All keys of a user carry the hash tag of their shard, and so does KEYS[1], which routes the call:
--   <prefix>:{<shard>}:sessions:<user>   hash: a connection → "<expires> <status> <gateway>", and the field
--                                        "@" → "<last seen> <told> <version> <acknowledged>"
--   <prefix>:{<shard>}:deadlines         users by the earliest deadline of their connections
--   <prefix>:{<shard>}:until             users by the latest one: whoever is above now is here
--   <prefix>:{<shard>}:untold            users whose change is to be told, by the time to tell it
--   <prefix>:{<shard>}:transitions       stream of what was told
-- Times are milliseconds of this server's clock.

local prefix = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Lua would write a large number with an exponent.
local function integer(number)
  return string.format('%.0f', number)
end

local function tag_of(shard)
  return prefix .. ':{' .. shard .. '}:'
end

local function load(tag, name)
  local user = {
    name = name, tag = tag, key = tag .. 'sessions:' .. name, sessions = {}, known = false,
    seen = '0', told = 'OFFLINE', version = 0, acknowledged = 0,
  }
  local flat = redis.call('HGETALL', user.key)
  for i = 1, #flat, 2 do
    user.known = true
    if flat[i] == '@' then
      local seen, told, version, acknowledged = string.match(flat[i + 1], '^(%d+) (%u+) (%d+) (%d+)$')
      if seen then
        user.seen, user.told = seen, told
        user.version, user.acknowledged = tonumber(version), tonumber(acknowledged)
      end
    else
      local expires, status, gateway = string.match(flat[i + 1], '^(%d+) (%u+) (.*)$')
      if expires then
        user.sessions[flat[i]] = { expires = tonumber(expires), status = status, gateway = gateway }
      end
    end
  end
  return user
end

-- Online when any connection that counts is, away when all are; with the earliest and the latest deadline.
local function judge(user)
  local status, first, last = 'OFFLINE', nil, 0
  for _, session in pairs(user.sessions) do
    if now < session.expires then
      if status ~= 'ONLINE' then status = session.status end
      if not first or session.expires < first then first = session.expires end
      if session.expires > last then last = session.expires end
    end
  end
  return status, first, last
end

local function remembered(user)
  return user.seen .. ' ' .. user.told .. ' ' .. integer(user.version) .. ' ' .. integer(user.acknowledged)
end

-- Forgets what is over and makes the indexes true.
local function settle(user)
  local over = {}
  for id, session in pairs(user.sessions) do
    if now >= session.expires then over[#over + 1] = id end
  end
  for _, id in ipairs(over) do
    redis.call('HDEL', user.key, id)
    user.sessions[id] = nil
  end
  local status, first, last = judge(user)
  if first then
    redis.call('ZADD', user.tag .. 'deadlines', integer(first), user.name)
    redis.call('ZADD', user.tag .. 'until', integer(last), user.name)
  else
    redis.call('ZREM', user.tag .. 'deadlines', user.name)
    redis.call('ZREM', user.tag .. 'until', user.name)
  end
  if status ~= user.told then
    redis.call('ZADD', user.tag .. 'untold', '0', user.name)
  end
  return status, last
end
