-- Adds what windows hold by the ledger. ARGV[3]: for each key its type, span, how many instants are kept, and its
-- instants or sums, oldest first. While windows are being refilled KEYS[1] is the lock and ARGV[1] its holder.
local blob, place = ARGV[3], 1

local function merged(old, new, size, kept)
  local parts, i, j = {}, 1, 1
  while i <= #old or j <= #new do
    local a = i <= #old and unpack('>I6', old, i)
    local b = j <= #new and unpack('>I6', new, j)
    if a and b and a == b and size == 14 then
      local _, one = unpack('>I6I8', old, i)
      local _, two = unpack('>I6I8', new, j)
      parts[#parts + 1] = pack('>I6I8', a, one + two)
      i, j = i + size, j + size
    elseif a and (not b or a <= b) then
      parts[#parts + 1] = string.sub(old, i, i + size - 1)
      i = i + size
    else
      parts[#parts + 1] = string.sub(new, j, j + size - 1)
      j = j + size
    end
  end
  return table.concat(parts, '', math.max(1, #parts - kept + 1))
end

local function total(text)
  local sum = 0
  for i = 7, #text, 14 do sum = sum + unpack('>I8', text, i) end
  return pack('>I8', sum)
end

for k = 2, #KEYS do
  local c, n, kept = {}, 0, 0
  c.type, c.span, kept, n, place = unpack('>BI6I4I4', blob, place)
  local size = c.type < 2 and 6 or 14
  local text = string.sub(blob, place, place + n * size - 1)
  place = place + n * size
  local old = call('GET', KEYS[k])
  if old and size == 14 then old = string.sub(old, 9) end
  if old then text = merged(old, text, size, size == 6 and math.max(kept, 1) or #old + #text) end
  local last = unpack('>I6', text, #text - size + 1)
  local ends = size == 6 and last + c.span or finish(c, last)
  if size == 14 then text = total(text) .. text end
  call('SET', KEYS[k], text, 'PX', math.max(1, ends - now))
end
return 1
