-- Charges requests, one after the other: all windows of one, or none. ARGV[3]: for each request what it does, how
-- many charges it has, an instant, and the charges; KEYS go along. It does 0: all charges if every enforced window has
-- room, else those that are always made; 1: only these; 2: none. With 4 more the instant is the caller's time; with 8
-- more it says until when the caller waits: what it no longer waits for is not charged.
local blob, servers = ARGV[3], now

local function look_window(c)
  local w = instants(c.key, c.kept)
  -- More than are worth keeping are as good as gone.
  local dead = math.max(gone(w, now - c.span), w.n - math.max(c.kept, 1))
  local live = w.n - dead
  c.w, c.dead, c.count, c.oldest, c.retry, c.used = w, dead, live, 0, 0, 0
  if live > 0 then c.oldest = instant(w, dead + 1) + c.span end
  if live + c.amount > c.quota then
    c.used = 1
    local leaving = math.min(dead + math.max(1, live + c.amount - c.quota), w.n)
    c.retry = live > 0 and instant(w, leaving) + c.span or now + c.span
  elseif c.delays and live > 0 and #c.delays > 0 then
    local free = instant(w, w.n) + c.delays[math.min(live, #c.delays)]
    if free > now then c.retry = free end
  end
end

local function look_sum(c)
  local head, n, dead, past = call('GETRANGE', c.key, 0, 8 + 14 * 4 - 1), 0, 0, 0
  c.total = #head > 8 and unpack('>I8', head) or 0
  local complete = #head < 8 + 14 * 4
  n = #head > 8 and (#head - 8) / 14 or 0
  local i = 1
  while i <= n do
    local at, amount = entry(head, i)
    if finish(c, at) > now then
      c.oldest = finish(c, at)
      break
    end
    dead, past = dead + 1, past + amount
    i = i + 1
    if i > n and not complete then
      head, complete = call('GET', c.key), true
      n = (#head - 8) / 14
    end
  end
  c.dead, c.count, c.oldest, c.retry, c.used = dead, c.total - past, c.oldest or 0, 0, 0
  if c.amount == 0 or c.count + c.amount <= c.quota then return end
  c.used = 1
  if c.type ~= 2 then
    c.retry = finish(c, slot(c, now))
    return
  end
  local text, left = call('GET', c.key) or '', c.count
  c.retry = now + c.span
  for k = dead + 1, (#text - 8) / 14 do
    local at, amount = entry(text, k)
    left, c.retry = left - amount, finish(c, at)
    if left + c.amount <= c.quota then break end
  end
end

local function make_window(c)
  local w, times = c.w, math.min(c.amount, c.kept)
  if times == 0 then return end
  local at = now
  -- Should the clock have been set back, the newest instant stands: never shorter than the span.
  if w.n > 0 then at = math.max(now, instant(w, w.n)) end
  local new = pack('>I6', at)
  if times > 1 then new = string.rep(new, times) end
  local ttl = math.max(1, at - now + c.span)
  -- Of what is live, only as much as is kept beside the new.
  local drop = math.max(c.dead, w.n + times - c.kept)
  if w.text then
    call('SET', c.key, string.sub(w.text, drop * 6 + 1) .. new, 'PX', ttl)
  elseif drop * 2 > w.n then
    call('SET', c.key, call('GETRANGE', c.key, drop * 6, -1) .. new, 'PX', ttl)
  else
    call('APPEND', c.key, new)
    call('PEXPIRE', c.key, ttl)
  end
end

local function make_sum(c)
  if c.amount == 0 then return end
  local at, total = slot(c, now), pack('>I8', c.count + c.amount)
  local ttl = math.max(1, finish(c, at) - now)
  local new = pack('>I6I8', at, c.amount)
  if c.total == 0 or c.dead > 0 then
    local rest = c.dead > 0 and call('GETRANGE', c.key, 8 + 14 * c.dead, -1) or ''
    if #rest > 0 then
      local last, held = entry(rest, #rest / 14 - 8 / 14)
      if last >= at then
        rest, new = string.sub(rest, 1, -15), pack('>I6I8', last, held + c.amount)
      end
    end
    call('SET', c.key, total .. rest .. new, 'PX', ttl)
    return
  end
  local last, held = unpack('>I6I8', call('GETRANGE', c.key, -14, -1))
  if last >= at then
    call('SETRANGE', c.key, call('STRLEN', c.key) - 8, pack('>I8', held + c.amount))
  else
    call('APPEND', c.key, new)
  end
  call('SETRANGE', c.key, 0, total)
  call('PEXPIRE', c.key, ttl)
end

local place, key, answer = 1, 1, {}
while place <= #blob do
  local does, count, at
  does, count, at, place = unpack('>BI2I6', blob, place)
  local mode, late = does % 4, does >= 8 and servers > at
  now = (does >= 4 and does < 8) and at or servers
  local all, refused = {}, false
  for i = 1, count do
    local c
    c, place = read(blob, place)
    key = key + 1
    c.key = KEYS[key]
    if not late then
      if c.type < 2 then look_window(c) else look_sum(c) end
      refused = refused or (c.retry > 0 and c.enforced)
      all[i] = c
    end
  end
  local sends = mode == 0 and not refused
  -- An instant of zero says that it was too late.
  answer[#answer + 1] = pack('>I6', late and 0 or math.max(now, 1))
  for _, c in ipairs(all) do
    if sends or (c.always and mode ~= 2) then
      if c.type < 2 then make_window(c) else make_sum(c) end
    end
    answer[#answer + 1] = pack('>I8I6I6B', c.count, c.oldest, c.retry, c.used)
  end
end
return table.concat(answer)
