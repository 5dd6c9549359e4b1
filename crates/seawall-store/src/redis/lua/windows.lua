-- Windows as they lie in Redis, for all scripts. KEYS[1] holds the mark of the windows in force; ARGV[1] is the
-- mark that the caller knows, ARGV[2] its time in milliseconds; else the server's own is used.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
local unpack, pack, call = struct.unpack, struct.pack, redis.call
local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Instants: six bytes each, oldest first. Small windows are read whole, of large ones what is asked for.
local WHOLE = 512

local function instants(key, kept)
  local w = {key = key}
  if kept <= WHOLE then
    w.text = call('GET', key) or ''
    w.n = #w.text / 6
  else
    w.n = call('STRLEN', key) / 6
  end
  return w
end

local function instant(w, i)
  if w.text then return (unpack('>I6', w.text, i * 6 - 5)) end
  return (unpack('>I6', call('GETRANGE', w.key, i * 6 - 6, i * 6 - 1)))
end

-- How many instants are not later than `cutoff`.
local function gone(w, cutoff)
  if w.n == 0 or instant(w, 1) > cutoff then return 0 end
  local low, high = 1, w.n
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if instant(w, middle) <= cutoff then low = middle else high = middle - 1 end
  end
  return low
end

-- Periods: 2 is a rolling span, 3 an hour, 4 a day, 5 a month of the calendar.
local HOUR, DAY = 3600000, 86400000

-- The month that a day (since the epoch) lies in, counted from March of the year 0.
local function month(day)
  local d = day + 719468
  local era = math.floor(d / 146097)
  local doe = d - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  return (yoe + era * 400) * 12 + math.floor((5 * doy + 2) / 153)
end

-- The first instant of a month that is counted so.
local function begin(months)
  local year, m = math.floor(months / 12), months % 12
  local doy = math.floor((153 * m + 2) / 5)
  local days = year * 365 + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400) + doy
  return (days - 719468) * DAY
end

local function slice(c)
  return math.max(1, math.floor((c.span + 4095) / 4096))
end

local function slot(c, at)
  if c.type == 2 then
    return math.ceil(at / slice(c)) * slice(c)
  elseif c.type == 3 then
    return at - at % HOUR
  elseif c.type == 4 then
    return at - at % DAY
  end
  return begin(month(math.floor(at / DAY)))
end

local function finish(c, slot)
  if c.type == 2 then
    return slot + c.span
  elseif c.type == 3 then
    return slot + HOUR
  elseif c.type == 4 then
    return slot + DAY
  end
  return begin(month(math.floor(slot / DAY)) + 1)
end

-- Sums: the total in eight bytes, then a slot in six and its amount in eight, oldest first.
local function entry(text, i)
  local at, amount = unpack('>I6I8', text, 14 * i - 5)
  return at, amount
end

-- One charge: 0 is a window, 1 a back-off with its delays.
local function read(blob, place)
  local c = {}
  c.type, c.flags, c.amount, c.quota, c.span, c.kept, place = unpack('>BBI8I8I6I4', blob, place)
  c.always, c.enforced = c.flags % 2 == 1, c.flags >= 2
  if c.type == 1 then
    local n
    n, place = unpack('>B', blob, place)
    c.delays = {}
    for i = 1, n do
      c.delays[i], place = unpack('>I6', blob, place)
    end
  end
  return c, place
end
