-- What the edge says itself: requests that a web page could have sent unasked are refused, and Envoy's own errors, which quote
-- the order and name addresses, are told in the words of the doors behind.

local CODES = {[400] = 3, [403] = 7, [404] = 5, [405] = 12, [408] = 4, [413] = 8, [415] = 3, [421] = 7, [429] = 8, [431] = 8,
               [500] = 13, [501] = 12, [502] = 14, [503] = 14, [504] = 4}
local WORDS = {
  [403] = "a web page of another origin may not ask here: send an API key, or ask from the same origin",
  [404] = "there is no such path",
  [405] = "this path takes another method",
  [408] = "the request did not arrive in time",
  [413] = "the request is too large",
  [415] = "the content type must be application/json",
  [421] = "this Host is not served without an API key: use localhost, or name it in VOUCH_WEB_ALLOWED_HOSTS",
  [429] = "too many requests: try again in a second",
  [431] = "the headers are too large",
  [503] = "a service behind is away: try again",
  [504] = "the service behind did not answer in time",
}
-- Reasons of the contract's ErrorReason; of a path that is not there nothing of ours could say more.
local REASONS = {[400] = "INVALID_REQUEST", [405] = "NOT_IMPLEMENTED", [408] = "DEADLINE_EXCEEDED", [413] = "REQUEST_TOO_LARGE",
                 [415] = "INVALID_REQUEST", [429] = "OVERLOADED", [431] = "REQUEST_TOO_LARGE", [503] = "SERVICE_UNAVAILABLE",
                 [504] = "DEADLINE_EXCEEDED"}
-- What only REST needs a reason for; of any other status it is INVALID_REQUEST, as in http_bridge/errors.py.
local REST_REASONS = {[401] = "API_KEY_INVALID", [403] = "ROLE_INSUFFICIENT", [404] = "NOT_IMPLEMENTED", [421] = "ROLE_INSUFFICIENT",
                      [500] = "INTERNAL", [501] = "NOT_IMPLEMENTED", [502] = "SERVICE_UNAVAILABLE"}
local TYPE = '{"@type":"type.googleapis.com/google.rpc.'
local WRITES_NOTHING = {GET = true, HEAD = true, OPTIONS = true}

-- An error as JSON: FastAPI's `detail` for the documented REST, google.rpc.Status in canonical JSON for /v1.
local function told(rest, status, message, field, id)
  if rest then
    local reason = REASONS[status] or REST_REASONS[status] or "INVALID_REQUEST"
    return '{"detail":"' .. message .. '","reason":"' .. reason .. '","request_id":"' .. (id or "") .. '"}'
  end
  local reason, details = REASONS[status], ""
  if reason then
    local metadata = field and ',"metadata":{"field":"' .. field .. '"}' or ""
    details = TYPE .. 'ErrorInfo","reason":"' .. reason .. '","domain":"vouch"' .. metadata .. "}"
  end
  if field then
    details = details .. "," .. TYPE .. 'BadRequest","field_violations":[{"field":"' .. field .. '","description":"' .. message .. '"}]}'
    message = "invalid request: " .. field .. ": " .. message
  elseif status == 429 then
    details = details .. "," .. TYPE .. 'RetryInfo","retry_delay":"1s"}'
  end
  details = details ~= "" and ',"details":[' .. details .. "]" or ""
  return '{"code":' .. (CODES[status] or 2) .. ',"message":"' .. message .. '"' .. details .. "}"
end

local function is_typed(content_type)
  local kind = content_type:match("^[^;]*"):gsub("%s", ""):lower()
  return kind == "application/json" or kind == "application/x-ndjson" or kind:match("^application/[%w.-]+%+json$") or kind:match("^application/grpc")
end

-- Whether a page is not of the host that is asked, or that host is no loopback name: a foreign one can be bent to this address.
local function is_foreign(origin, host)
  local authority = origin:match("^https?://([^/]+)$")
  if not authority or authority ~= host then
    return true
  end
  local name = authority:gsub(":%d+$", "")
  return not (name == "localhost" or name == "[::1]" or name:match("^127%.%d+%.%d+%.%d+$"))
end

-- The name or address in a Host header, in lower case and without port and last dot; nil where it is no host.
-- runtime/access/hosts.py has the same rule; one test holds both to one table.
local function host_name(value)
  local name = value:lower()
  local port = name:match(":(%d+)$")
  if port and #port <= 5 then
    name = name:sub(1, -#port - 2)
  end
  if name:match("^[%w._-]+$") then
    name = name:gsub("%.$", "")
  elseif not name:match("^%[[%x:.]+%]$") then
    return nil
  end
  return name ~= "" and name or nil
end

local function is_loopback_name(name)
  if name == "localhost" or name == "[::1]" then
    return true
  end
  local parts = {name:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")}
  for _, part in ipairs(parts) do
    if tonumber(part) > 255 or part:match("^0%d") then
      return false
    end
  end
  return parts[1] == "127"
end

-- Whether a request may name this host where no key is asked for: a foreign name can be bent to this address.
local function is_allowed_host(authority, hosts, own_address)
  for _, allowed in ipairs(hosts) do
    if allowed == "*" then
      return true
    end
  end
  local name = host_name(authority or "")
  if not name then
    return false
  end
  for _, allowed in ipairs(hosts) do
    if allowed == name then
      return true
    end
  end
  return is_loopback_name(name) or name == host_name(own_address)
end

-- What a path of gRPC takes: anything else would be sent on, and nobody behind understands it.
local function grpc_problem(path, method, kind)
  if not (path:match("^/vouch%.v1%.") or path:match("^/grpc%.")) then
    return nil
  end
  if method ~= "POST" then
    return 405, WORDS[405], "POST"
  end
  if not (kind:match("^application/grpc$") or kind:match("^application/grpc[+;]")) then
    return 415, "this path takes gRPC and gRPC-Web; canonical JSON goes to the paths under /v1/"
  end
end

-- The request's id, where it can stand in JSON as it is.
local function request_id(headers)
  return (headers:get("x-request-id") or ""):match("^[%w._-]+$") or ""
end

local function refuse(handle, rest, grpc, status, message, allow)
  local headers = {[":status"] = tostring(status), ["content-type"] = "application/json", allow = allow}
  if grpc then
    headers = {[":status"] = "200", ["content-type"] = "application/grpc", ["grpc-status"] = tostring(CODES[status] or 2),
               ["grpc-message"] = message}
    handle:respond(headers)
  else
    handle:respond(headers, told(rest, status, message, nil, request_id(handle:headers())))
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local context = handle:filterContext()
  if context:get("check_host") and not is_allowed_host(headers:get(":authority"), context:get("hosts"), handle:streamInfo():downstreamLocalAddress()) then
    local grpc = (headers:get("content-type") or ""):match("^application/grpc") ~= nil
    refuse(handle, (headers:get(":path") or ""):sub(1, 5) == "/api/", grpc, 421, WORDS[421])
    return
  end
  if context:get("only_host") then
    return
  end
  local method, kind, origin = headers:get(":method"), headers:get("content-type") or "", headers:get("origin")
  local rest = (headers:get(":path") or ""):sub(1, 5) == "/api/"
  local seen = handle:streamInfo():dynamicMetadata()
  -- The console takes forms, and asks itself where they come from; what it answers is a page.
  if (headers:get(":path") or ""):sub(1, 9) == "/console/" then
    seen:set("vouch", "page", true)
    return
  end
  seen:set("vouch", "rest", rest)
  seen:set("vouch", "id", request_id(headers))
  seen:set("vouch", "grpc", kind:match("^application/grpc") ~= nil)
  seen:set("vouch", "method", method)
  local keyed = headers:get("x-api-key") or headers:get("authorization")
  if origin and not keyed and is_foreign(origin, headers:get(":authority")) then
    refuse(handle, rest, false, 403, WORDS[403])
    return
  end
  local status, message, allow = grpc_problem(headers:get(":path") or "", method, kind)
  if not status and not WRITES_NOTHING[method] and not is_typed(kind) then
    status, message = 415, WORDS[415]
  end
  if status then
    refuse(handle, rest, false, status, message, allow)
  end
end

-- What comes from behind is JSON or gRPC; what Envoy says itself is plain text or nothing.
function envoy_on_response(handle)
  local headers = handle:headers()
  local status = tonumber(headers:get(":status"))
  if status < 400 or (headers:get("content-type") or "text/plain"):sub(1, 10) ~= "text/plain" then
    return
  end
  local seen = handle:streamInfo():dynamicMetadata():get("vouch") or {}
  local rest, grpc, method = seen["rest"], seen["grpc"], seen["method"]
  if grpc then
    return
  end
  local body = handle:body(true)  -- waits: what was read from the handle before is void afterwards
  local message, field = WORDS[status] or "the edge cannot answer this", nil
  if seen["page"] then
    body:setBytes(message .. "\n")
    handle:headers():replace("content-length", tostring(#message + 1))
    return
  end
  if status == 400 then
    local said = body:getBytes(0, math.min(body:length(), 256))
    local path = said:match("^([%a_][%w_.%[%]]*): ")
    if path and #path <= 96 then
      field, message = path, "no value that this field takes"
    elseif not method then  -- refused before it was looked at here
      message = "this is no request that the edge reads: a header's name may hold no underscore, say"
    elseif WRITES_NOTHING[method] then
      message = "the query holds a parameter that is not known here"
    else
      message = "the body is no JSON that this path takes"
    end
  end
  local text = told(rest, status, message, field, seen["id"])
  body:setBytes(text)
  handle:headers():replace("content-type", "application/json")
  handle:headers():replace("content-length", tostring(#text))
end
