-- Puts the Talkdesk bar's loader into documents, in Envoy, as they stream by.
--
-- Runs on the routes of navigations alone (envoy/routes.py), behind ext_authz, whose word it reads from the
-- request's metadata. Nothing that protects anybody is done here: where this fails, the page passes as it is.

local VERDICT = "envoy.filters.http.ext_authz"
local OWN = "talkdesk.bar"
local TRUSTED_TYPES_POLICY = "talkdesk-bar"  -- the name bar.js uses
local MOST_HELD = 16384      -- bytes of an unfinished tag
local MOST_SCANNED = 262144  -- bytes in which a <meta> policy is looked for
local BLANK = "[ \t\r\n\f]"
local BOM = "\239\187\191"

local SLICE = 4096            -- bytes of UTF-16 that are read at once

-- Of all encodings that browsers know, ASCII does not stand for itself in UTF-16 alone. Its labels
-- (https://encoding.spec.whatwg.org/#names-and-labels), and the marks that a document may begin with: they
-- count for more than what the document is said to be.
local WIDE = {
  ["utf-16"] = "le", ["utf-16le"] = "le", ["unicode"] = "le", ["unicodefeff"] = "le", ["ucs-2"] = "le",
  ["csunicode"] = "le", ["iso-10646-ucs-2"] = "le", ["utf-16be"] = "be", ["unicodefffe"] = "be",
}
local MARKS = {["\255\254"] = "le", ["\254\255"] = "be", ["\239\187"] = "no"}

-- A directive that a policy lacks is ruled by the first of these that it has.
local FALLBACKS = {
  ["script-src"] = {"default-src"}, ["style-src"] = {"default-src"}, ["img-src"] = {"default-src"},
  ["font-src"] = {"default-src"}, ["connect-src"] = {"default-src"}, ["media-src"] = {"default-src"},
  ["object-src"] = {"default-src"}, ["manifest-src"] = {"default-src"}, ["child-src"] = {"default-src"},
  ["script-src-elem"] = {"script-src", "default-src"}, ["script-src-attr"] = {"script-src", "default-src"},
  ["style-src-elem"] = {"style-src", "default-src"}, ["style-src-attr"] = {"style-src", "default-src"},
  ["frame-src"] = {"child-src", "default-src"},
  ["worker-src"] = {"child-src", "script-src", "default-src"},
}

-- Content Security Policy -------------------------------------------------------------------------------

local function parse_policy(text)
  local policy = {order = {}, lists = {}}
  for directive in text:gmatch("[^;]+") do
    local name, rest = directive:match("^%s*([^%s]+)%s*(.-)%s*$")
    if name then
      name = name:lower()
      if not policy.lists[name] then  -- of several alike only the first counts
        local sources = {}
        for source in rest:gmatch("%S+") do sources[#sources + 1] = source end
        policy.order[#policy.order + 1] = name
        policy.lists[name] = sources
      end
    end
  end
  return policy
end

local function policy_text(policy)
  local parts = {}
  for _, name in ipairs(policy.order) do
    local sources = table.concat(policy.lists[name], " ")
    parts[#parts + 1] = sources == "" and name or name .. " " .. sources
  end
  return table.concat(parts, "; ")
end

local function has(sources, wanted)
  for _, source in ipairs(sources) do
    if source:lower() == wanted then return true end
  end
  return false
end

local function is_inline_proof(source)
  local lower = source:lower()
  return lower:find("^'nonce%-") or lower:find("^'sha%d+%-")
end

local function add(sources, more)
  local result, proofs = {}, false
  for _, source in ipairs(sources) do
    if source:lower() ~= "'none'" then result[#result + 1] = source end
    proofs = proofs or is_inline_proof(source)
  end
  -- One nonce or hash would end what 'unsafe-inline' allows the page.
  local spare = has(sources, "'unsafe-inline'") and not proofs
  for _, source in ipairs(more) do
    if not has(result, source:lower()) and not (spare and is_inline_proof(source)) then
      result[#result + 1] = source
    end
  end
  if #result == 0 then result[1] = "'none'" end
  return result
end

local function extend_directive(policy, name, more)
  local sources = policy.lists[name]
  if not sources then
    for _, other in ipairs(FALLBACKS[name] or {}) do
      sources = policy.lists[other]
      if sources then break end
    end
    if not sources then return end  -- the policy does not limit it
    policy.order[#policy.order + 1] = name
  end
  policy.lists[name] = add(sources, more)
end

local function script_sources(policy)
  return policy.lists["script-src-elem"] or policy.lists["script-src"] or policy.lists["default-src"]
end

local function strict_dynamic(policy)
  local sources = script_sources(policy)
  return sources ~= nil and has(sources, "'strict-dynamic'")
end

local function nonce_of(policy)
  for _, source in ipairs(script_sources(policy) or {}) do
    local nonce = source:match("^'[nN][oO][nN][cC][eE]%-([%w+/_=-]+)'$")
    if nonce then return nonce end
  end
  return nil
end

-- What the bar needs, added to one policy. Under 'strict-dynamic' addresses count for nothing: the loader
-- bears `nonce`, and may load the bar's script itself.
local function extend(policy, needs, nonce)
  for _, name in ipairs(needs.order) do
    extend_directive(policy, name, needs.lists[name])
    for _, finer in ipairs({name .. "-elem"}) do
      if policy.lists[finer] then extend_directive(policy, finer, needs.lists[name]) end
    end
  end
  if nonce and strict_dynamic(policy) then
    local name = policy.lists["script-src-elem"] and "script-src-elem" or "script-src"
    extend_directive(policy, name, {"'nonce-" .. nonce .. "'"})
  end
  if policy.lists["require-trusted-types-for"] and policy.lists["trusted-types"] then
    policy.lists["trusted-types"] = add(policy.lists["trusted-types"], {TRUSTED_TYPES_POLICY})
  end
  return policy_text(policy)
end

local function read_policies(headers, name)
  local policies = {}
  for index = 0, headers:getNumValues(name) - 1 do
    for text in headers:getAtIndex(name, index):gmatch("[^,]+") do
      if text:find("%S") then policies[#policies + 1] = parse_policy(text) end
    end
  end
  return policies
end

-- Both headers, enforced and reported, gain the same. Returns the nonce for the loader's tag, or nil.
local function extend_headers(headers, needs, spare_nonce)
  local found, nonce, strict = {}, nil, false
  for _, name in ipairs({"content-security-policy", "content-security-policy-report-only"}) do
    found[name] = read_policies(headers, name)
    for _, policy in ipairs(found[name]) do
      if strict_dynamic(policy) then
        strict = true
        nonce = nonce or nonce_of(policy)
      end
    end
  end
  if strict then nonce = nonce or spare_nonce end
  for name, policies in pairs(found) do
    if #policies > 0 then
      local texts = {}
      for _, policy in ipairs(policies) do texts[#texts + 1] = extend(policy, needs, nonce) end
      headers:replace(name, table.concat(texts, ", "))
    end
  end
  return nonce
end

-- HTML --------------------------------------------------------------------------------------------------

-- Index of the ">" that ends the tag whose name ended before `at`; nil if it is not there yet.
local function tag_end(data, at)
  while true do
    local place, _, found = data:find("([=>])", at)
    if not place then return nil end
    if found == ">" then return place end
    local value = data:find("[^ \t\r\n\f]", place + 1)
    if not value then return nil end
    local quote = data:sub(value, value)
    if quote == '"' or quote == "'" then
      local close = data:find(quote, value + 1, true)
      if not close then return nil end
      at = close + 1
    elseif quote == ">" then
      return value
    else
      at = data:find("[ \t\r\n\f>]", value)
      if not at then return nil end
    end
  end
end

local NAMED = {amp = "&", quot = '"', apos = "'", lt = "<", gt = ">"}

-- `text`, the inside of "&#...;", as a character of ASCII and what follows its number; nil: another character.
local function numbered(text)
  local base, digits, rest = 16, text:match("^[xX]0*(%x+)(.*)$")
  if not digits then
    base, digits, rest = 10, text:match("^0*(%d+)(.*)$")
  end
  local code = digits and #digits <= 3 and tonumber(digits, base) or 0
  if code > 0 and code < 128 then return string.char(code), rest end
end

-- `text` with its character references resolved; nil: one is of a name that is not known here, or not of ASCII.
local function resolved(text)
  local known = true
  local plain = text:gsub("&(#?)(%w*)(;?)", function(mark, name, stop)
    if mark == "" and stop == "" and not NAMED[name] then return nil end  -- no reference
    local found, rest = stop ~= "" and NAMED[name], ""
    if mark ~= "" then found, rest = numbered(name) end
    if not found then
      known = false
      return nil
    end
    return rest == "" and found or found .. rest .. stop
  end)
  return known and plain or nil
end

-- `[name] = {value, first, last}` of a whole tag: as it is written, and where, with its quotes.
local function attributes(tag)
  local found, at = {}, tag:find("[ \t\r\n\f/]") or #tag
  while true do
    local first, last = tag:find("[^ \t\r\n\f/>=]+", at)
    if not first then return found end
    local name = tag:sub(first, last):lower()
    local value = ""
    at = last + 1
    first, last = at, at - 1
    local equals = tag:match("^[ \t\r\n\f]*=[ \t\r\n\f]*()", at)
    if equals then
      local quote = tag:sub(equals, equals)
      if quote == '"' or quote == "'" then
        local close = tag:find(quote, equals + 1, true) or #tag
        value, at = tag:sub(equals + 1, close - 1), close + 1
      else
        value, at = tag:match("^([^ \t\r\n\f>]*)()", equals)
      end
      first, last = equals, at - 1
    end
    if not found[name] then found[name] = {value, first, last} end
  end
end

local IN_HEAD = {
  meta = true, link = true, base = true, script = true, style = true, title = true, noscript = true,
  template = true, bgsound = true, basefont = true, noframes = true,
}
local RAW = {script = true, style = true, title = true, noscript = true, noframes = true, template = true}

local Scan = {}
Scan.__index = Scan

-- `tag` is what to insert; `needs` is what a <meta> policy gains.
local function new_scan(tag, needs)
  return setmetatable({
    tag = tag, needs = needs, held = "", state = "start", inserted = false, done = false, scanned = 0,
  }, Scan)
end

function Scan:insert(out)
  out[#out + 1] = self.tag
  self.inserted = true
end

function Scan:meta(tag)
  local found = attributes(tag)
  local kind = resolved((found["http-equiv"] or {""})[1]) or ""
  if kind:lower() ~= "content-security-policy" or not found.content then return tag end
  local written, first, last = unpack(found.content)
  local content = resolved(written)
  local texts = {}
  for text in (content or ""):gmatch("[^,]+") do
    -- No nonce: the loader was let in before, and 'strict-dynamic' lets it load the bar.
    if text:find("%S") then texts[#texts + 1] = extend(parse_policy(text), self.needs, nil) end
  end
  if #texts == 0 then return tag end
  content = table.concat(texts, ", "):gsub("&", "&amp;"):gsub('"', "&quot;")
  return tag:sub(1, first - 1) .. '"' .. content .. '"' .. tag:sub(last + 1)
end

-- One step over `data` from `at`. Returns where to go on; nil: more is needed; and where to hold from.
-- In "between", nothing but the document's prolog has passed; the loader goes before whatever is neither
-- white space, comment, doctype, <html> nor <head>, or behind <head>. In "head" it has been inserted.
local STEPS = {}

function STEPS.start(self, data, at)
  if #data < 3 and (BOM:sub(1, #data) == data or #data < 2) then return nil, at end
  if data:sub(1, 2):find("%z") then
    self.done, self.inserted = true, true  -- no text that a browser shows, whatever it says
    return at
  end
  self.state = "between"
  return data:sub(1, 3) == BOM and at + 3 or at
end

function STEPS.between(self, data, at, out, copied)
  local place = data:find("[^ \t\r\n\f]", at)
  if not place then return nil, #data + 1 end
  local ahead = data:sub(place, place + 5):lower()
  local function insert_here()
    out[#out + 1] = data:sub(copied, place - 1)
    self:insert(out)
    self.state = "head"
    return place, nil, place
  end
  if ahead:sub(1, 1) ~= "<" then return insert_here() end
  for _, wanted in ipairs({"<!--", "<html", "<head"}) do
    if #data - place + 1 <= #wanted and wanted:sub(1, #ahead) == ahead then return nil, place end
  end
  if ahead:sub(1, 4) == "<!--" then
    self.state, self.after = "comment", "between"
    return place + 2
  end
  if ahead:find("^<[!?]") then
    self.state, self.after = "declaration", "between"
    return place + 2
  end
  local name = ahead:match("^<(h[te][ma][ld])[ \t\r\n\f/>]")
  if name ~= "html" and name ~= "head" then return insert_here() end
  local last = tag_end(data, place + 5)
  if not last then return nil, place end
  if name == "head" then
    out[#out + 1] = data:sub(copied, last)
    self:insert(out)
    self.state = "head"
    return last + 1, nil, last + 1
  end
  return last + 1
end

function STEPS.comment(self, data, at)
  local _, last = data:find("%-%-!?>", at)
  if not last then return nil, math.max(at, #data - 2) end
  self.state = self.after
  return last + 1
end

function STEPS.declaration(self, data, at)
  local last = data:find(">", at, true)
  if not last then return nil, #data + 1 end
  self.state = self.after
  return last + 1
end

function STEPS.head(self, data, at, out, copied)
  local place = data:find("<", at, true)
  if not place then return nil, #data + 1 end
  local ahead = data:sub(place, place + 15):lower()
  if ahead == "<" or ("<!--"):sub(1, #ahead) == ahead and #ahead < 4 then return nil, place end
  if ahead:sub(1, 4) == "<!--" then
    self.state, self.after = "comment", "head"
    return place + 2
  end
  local name, after = ahead:match("^<(%a[%w-]*)()")
  if name and after > #ahead and #ahead < 16 then return nil, place end
  if not name or not IN_HEAD[name] then
    if ahead:find("^</") and not ahead:find("^</head") then
      if #ahead < 6 and ("</head"):sub(1, #ahead) == ahead then return nil, place end
      self.state, self.after = "declaration", "head"
      return place + 2
    end
    if #ahead < 6 and ("</head"):sub(1, #ahead) == ahead then return nil, place end
    self.done = true
    return place
  end
  local last = tag_end(data, place + after - 1)
  if not last then return nil, place end
  if name == "meta" then
    local tag = data:sub(place, last)
    local changed = self:meta(tag)
    if changed ~= tag then
      out[#out + 1] = data:sub(copied, place - 1)
      out[#out + 1] = changed
      return last + 1, nil, last + 1
    end
  elseif RAW[name] then
    self.state, self.raw = "raw", "</" .. name
  end
  return last + 1
end

-- Looks at no more than the end tags: pages bring much in scripts and styles.
function STEPS.raw(self, data, at)
  local place = data:find("</", at, true)
  while place do
    local ahead = data:sub(place, place + #self.raw - 1):lower()
    if ahead == self.raw then
      self.state = "head"
      return place
    end
    if #ahead < #self.raw and self.raw:sub(1, #ahead) == ahead then return nil, place end
    place = data:find("</", place + 2, true)
  end
  return nil, math.max(at, #data)
end

-- What goes out for what came in; the rest is held until more comes, or until `finish`.
function Scan:feed(bytes)
  local data, out, at, copied = self.held .. bytes, {}, 1, 1
  self.scanned = self.scanned + #bytes
  while not self.done do
    local next_at, hold, next_copied = STEPS[self.state](self, data, at, out, copied)
    copied = next_copied or copied
    if not next_at then
      self.held = data:sub(hold)
      out[#out + 1] = data:sub(copied, hold - 1)
      if #self.held > MOST_HELD or self.inserted and self.scanned > MOST_SCANNED then
        out[#out + 1] = self:finish()
      end
      return table.concat(out)
    end
    at = next_at
  end
  self.held = ""
  out[#out + 1] = data:sub(copied)
  return table.concat(out)
end

-- The document ended, or what is held grew too long: the loader still gets in.
function Scan:finish()
  local rest = self.held
  self.held, self.done = "", true
  if self.inserted then return rest end
  self.inserted = true
  return self.tag .. rest
end

-- UTF-16 ------------------------------------------------------------------------------------------------

-- Each unit of two bytes as UTF-8 has it, surrogates one by one: what can be undone, whatever came.
local function narrowed(data, order)
  return (data:gsub("(.)(.)", function(first, second)
    local high, low = first:byte(), second:byte()
    if order == "le" then high, low = low, high end
    local unit = high * 256 + low
    if unit < 128 then return string.char(unit) end
    local last = 128 + unit % 64
    if unit < 2048 then return string.char(192 + math.floor(unit / 64), last) end
    return string.char(224 + math.floor(unit / 4096), 128 + math.floor(unit / 64) % 64, last)
  end))
end

local function widened(text, order)
  return (text:gsub("[%z\1-\127\194-\239][\128-\191]*", function(units)
    local one, two, three = units:byte(1, 3)
    local unit = one
    if three then
      unit = (one - 224) * 4096 + (two - 128) * 64 + three - 128
    elseif two then
      unit = (one - 192) * 64 + two - 128
    end
    local high, low = math.floor(unit / 256), unit % 256
    return order == "le" and string.char(low, high) or string.char(high, low)
  end))
end

-- How many bytes at the end of `text` are the beginning of a unit that is not whole yet.
local function unfinished(text)
  local lead, rest = text:match("([\194-\239])([\128-\191]*)$")
  if not lead then return 0 end
  local whole = lead:byte() < 224 and 2 or 3
  return #rest + 1 < whole and #rest + 1 or 0
end

local Wide = {}
Wide.__index = Wide

-- A scan of UTF-16 by one of what it says.
local function new_wide(scan, order)
  return setmetatable({scan = scan, order = order, odd = "", part = ""}, Wide)
end

function Wide:out(narrow)
  local text = self.part .. narrow
  local whole = self.scan.done and #text or #text - unfinished(text)
  self.part = text:sub(whole + 1)
  return widened(text:sub(1, whole), self.order)
end

function Wide:feed(bytes)
  local data, out, at = self.odd .. bytes, {}, 1
  while not self.scan.done and #data - at >= 1 do
    local last = math.min(at + SLICE, #data + 1)
    last = last - (last - at) % 2
    out[#out + 1] = self:out(self.scan:feed(narrowed(data:sub(at, last - 1), self.order)))
    at = last
  end
  self.odd = data:sub(at)
  if self.scan.done then
    out[#out + 1], self.odd = self.odd, ""
  end
  return table.concat(out)
end

function Wide:finish()
  local rest = self.odd
  self.odd = ""
  return self:out(self.scan:finish()) .. rest
end

-- The document -------------------------------------------------------------------------------------------

local Document = {}
Document.__index = Document

-- `order` is what the header says of UTF-16, or nil.
local function new_document(scan, order)
  return setmetatable({scan = scan, order = order, first = ""}, Document)
end

function Document:feed(bytes)
  if not self.reader then
    bytes = self.first .. bytes
    self.first = bytes
    if #bytes < 2 then return "" end
    local order = MARKS[bytes:sub(1, 2)] or self.order
    self.reader = (order == "le" or order == "be") and new_wide(self.scan, order) or self.scan
  end
  return self.reader:feed(bytes)
end

function Document:finish()
  if self.reader then return self.reader:finish() end
  self.scan.held = self.first
  return self.scan:finish()
end

-- Envoy -------------------------------------------------------------------------------------------------

local function charset(headers)
  local kind = (headers:get("content-type") or ""):lower()
  return kind:match("charset%s*=%s*[\"']?%s*([^%s;\"']+)")
end

-- A whole document that a person is to see, and that is not compressed.
local function wants_bar(headers)
  local status = tonumber(headers:get(":status")) or 0
  if status < 200 or status == 204 or status == 205 or status == 206 or (status >= 300 and status < 400) then
    return false
  end
  local kind = (headers:get("content-type") or ""):lower()
  local encoding = (headers:get("content-encoding") or "identity"):lower()
  local disposition = (headers:get("content-disposition") or ""):lower()
  return (kind:find("^%s*text/html%s*$") or kind:find("^%s*text/html%s*;"))
    and encoding == "identity" and not disposition:find("^%s*attachment")
end

function envoy_on_request(handle)
  local verdict = handle:streamInfo():dynamicMetadata():get(VERDICT)
  local headers = handle:headers()
  if not verdict or verdict["x-td-bar"] ~= "1" or headers:get(":method") == "HEAD" then return end
  headers:replace("accept-encoding", "identity")
  -- The body is not what the app's validators tell of, and its policy has news of ours.
  headers:remove("if-none-match")
  headers:remove("if-modified-since")
  -- Drawn by Envoy for this request: nobody knew it before.
  local own = handle:streamInfo():dynamicMetadata()
  local nonce = (headers:get("x-request-id") or ""):gsub("[^%w-]", "")
  own:set(OWN, "nonce", nonce)
  own:set(OWN, "wanted", "1")
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local own, verdict = metadata:get(OWN), metadata:get(VERDICT)
  local headers = handle:headers()
  if not own or own["wanted"] ~= "1" or not verdict or not wants_bar(headers) then return end

  local needs = parse_policy(verdict["x-td-bar-csp"] or "")
  local nonce = extend_headers(headers, needs, own["nonce"])
  local mark = nonce and ' nonce="' .. nonce .. '"' or ""
  local scan = new_scan('<script src="/_td/bar.js" defer' .. mark .. "></script>", needs)
  local document = new_document(scan, WIDE[charset(headers) or ""])

  local etag = headers:get("etag")
  if etag and etag:sub(1, 2) ~= "W/" then headers:replace("etag", "W/" .. etag) end
  for _, name in ipairs({
    "content-length", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest",
  }) do
    headers:remove(name)
  end

  local last, out
  for chunk in handle:bodyChunks() do
    last, out = chunk, document:feed(chunk:getBytes(0, chunk:length()))
    chunk:setBytes(out)
    if scan.done then return end
  end
  -- The last chunk may still be changed here. After trailers it may not, but no HTTP/1.1 app sends any here.
  if last then pcall(last.setBytes, last, out .. document:finish()) end
end
