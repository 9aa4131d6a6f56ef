-- Renews or shortens leases.
--
-- ARGV: prefix, 'touch' or 'release', how long a lease counts, how long a user is remembered (both ms),
-- then five for each lease: shard, user, connection, status, gateway (the last two empty for a release).
-- Answers for each: status, last seen, latest deadline. Doing it twice changes nothing but the time.

local renews = ARGV[2] == 'touch'
local expires = now + tonumber(ARGV[3])
local remember = ARGV[4]
local answer = {}

for i = 5, #ARGV, 5 do
  local user = load(tag_of(ARGV[i]), ARGV[i + 1])
  local id, session = ARGV[i + 2], user.sessions[ARGV[i + 2]]
  local status, last = 'OFFLINE', 0
  if renews then
    user.seen = integer(now)
    session = { expires = expires, status = ARGV[i + 3], gateway = ARGV[i + 4] }
    user.sessions[id] = session
    redis.call('HSET', user.key, '@', remembered(user),
      id, integer(expires) .. ' ' .. session.status .. ' ' .. session.gateway)
    redis.call('PEXPIRE', user.key, remember)
    status, last = settle(user)
  elseif user.known then
    if session and expires < session.expires then
      session.expires = expires
      redis.call('HSET', user.key, id, integer(expires) .. ' ' .. session.status .. ' ' .. session.gateway)
    end
    status, last = settle(user)
  end
  answer[#answer + 1] = status
  answer[#answer + 1] = user.seen
  answer[#answer + 1] = integer(last)
end

return answer
