-- Takes charges of one instant back. KEYS[2] is the stream on which other nodes learn that there is room again;
-- ARGV[3]: the instant; ARGV[4]: the charges; ARGV[5]: how to name the keys on the stream, one after the other.
local at, blob = tonumber(ARGV[3]), ARGV[4]
local freed = {}

local function refund_window(c)
  local w = instants(c.key, 0)
  w.text = call('GET', c.key) or ''
  w.n = #w.text / 6
  local last = gone(w, at)
  local first = gone(w, at - 1)
  local times = math.min(c.amount, last - first)
  if times == 0 then return false end
  local full = w.n - gone(w, now - c.span) >= c.quota
  local text = string.sub(w.text, 1, (last - times) * 6) .. string.sub(w.text, last * 6 + 1)
  if #text == 0 then call('DEL', c.key) else call('SET', c.key, text, 'KEEPTTL') end
  -- A delay may end as well.
  return full or c.delays
end

local function refund_sum(c)
  local text = call('GET', c.key)
  if not text then return false end
  local wanted, n = slot(c, at), (#text - 8) / 14
  local i = 1
  while i <= n and entry(text, i) < wanted do i = i + 1 end
  if i > n then return false end
  local found, held = entry(text, i)
  -- Of a rolling span the caller's instant may stand in the slice before; what is in the later one counts longer.
  local near = c.type == 2 and finish(c, wanted) > now and found <= wanted + slice(c)
  if found ~= wanted and not near then return false end
  local taken = math.min(c.amount, held)
  local before, after = string.sub(text, 9, 14 * i - 6), string.sub(text, 14 * i + 9)
  if held > taken then before = before .. pack('>I6I8', found, held - taken) end
  if #before + #after == 0 then
    call('DEL', c.key)
  else
    call('SET', c.key, pack('>I8', unpack('>I8', text) - taken) .. before .. after, 'KEEPTTL')
  end
  return true
end

local place = 1
for i = 3, #KEYS do
  local c
  c, place = read(blob, place)
  c.key = KEYS[i]
  local room
  if c.type < 2 then room = refund_window(c) else room = refund_sum(c) end
  if room then freed[#freed + 1] = string.sub(ARGV[5], (i - 3) * 8 + 1, (i - 2) * 8) end
end
if #freed > 0 then
  call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'freed', table.concat(freed))
  call('PEXPIRE', KEYS[2], HOUR)
end
return 1
