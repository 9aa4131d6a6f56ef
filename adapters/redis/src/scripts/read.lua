-- Answers what is asked, judged at this moment whether anybody sweeps or not. Writes nothing.
--
-- ARGV: prefix, how long a user is remembered, and
--   'presence', then shard and user for each → for each: status, last seen
--   'connections', then shard and user for each → for each: a list of connection, status, gateway, deadline
--   'count', then shards → how many users have a connection that counts

local question = ARGV[3]

if question == 'count' then
  local users = 0
  for i = 4, #ARGV do
    users = users + redis.call('ZCOUNT', tag_of(ARGV[i]) .. 'last_deadline', '(' .. integer(now), '+inf')
  end
  return { integer(users) }
end

local answer = {}
for i = 4, #ARGV, 2 do
  local user = load(tag_of(ARGV[i]), ARGV[i + 1])
  if question == 'presence' then
    answer[#answer + 1] = judge(user)
    answer[#answer + 1] = user.seen
  else
    local connections = {}
    for id, session in pairs(user.sessions) do
      if now < session.expires then
        for _, part in ipairs({ id, session.status, session.gateway, integer(session.expires) }) do
          connections[#connections + 1] = part
        end
      end
    end
    answer[#answer + 1] = connections
  end
end
return answer
