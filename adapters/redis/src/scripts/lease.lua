-- Renews or shortens leases.
--
-- ARGV: prefix, how long a user is remembered, 'touch' or 'release', how long a lease counts (both ms), then
-- five for each lease: shard, user, connection, status, gateway (the last two empty for a release).
-- Answers for each: status, last seen, latest deadline. Doing it twice changes nothing but the time.

local renews = ARGV[3] == 'touch'
local expires = now + tonumber(ARGV[4])
local now_text, expires_text = integer(now), integer(expires)
local answer = {}

for i = 5, #ARGV, 5 do
  local user = load(tag_of(ARGV[i]), ARGV[i + 1])
  local id = ARGV[i + 2]
  local session = user.sessions[id]
  local status, last = 'OFFLINE', '0'
  if renews then
    user.seen = now_text
    user.sessions[id] = { expires = expires, status = ARGV[i + 3] }
    redis.call('HSET', user.key, '@', remembered(user),
      id, expires_text .. ' ' .. ARGV[i + 3] .. ' ' .. ARGV[i + 4])
    status, last = settle(user, '0')
  elseif user.known then
    if session and expires < session.expires then
      session.expires = expires
      redis.call('HSET', user.key, id, expires_text .. ' ' .. session.status .. ' ' .. session.gateway)
    end
    status, last = settle(user, '0')
  end
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = status, user.seen, last
end

return answer
