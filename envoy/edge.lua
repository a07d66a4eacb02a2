-- Errors of the edge: refuses requests that a web page could send cross-origin without a preflight, and replaces Envoy's own
-- errors, which quote the order and name addresses, by errors in the format of the services.

local CODES = {[400] = 3, [403] = 7, [404] = 5, [405] = 12, [408] = 4, [413] = 8, [415] = 3, [421] = 7, [429] = 8, [431] = 8,
               [500] = 13, [501] = 12, [502] = 14, [503] = 14, [504] = 4}
local MESSAGES = {
  [403] = "cross-origin request without an API key; send a key, or use the same origin",
  [404] = "there is no such path",
  [405] = "method not allowed for this path",
  [408] = "the request did not arrive in time",
  [413] = "the request is too large",
  [415] = "the content type must be application/json",
  [421] = "Host is not allowed without an API key; use localhost, or add it to VOUCH_WEB_ALLOWED_HOSTS",
  [429] = "too many requests; retry in a second",
  [431] = "the headers are too large",
  [503] = "upstream service unavailable; retry",
  [504] = "upstream service did not answer in time",
}
-- Reasons of the contract's ErrorReason; none fits an unknown path.
local REASONS = {[400] = "INVALID_REQUEST", [405] = "NOT_IMPLEMENTED", [408] = "DEADLINE_EXCEEDED", [413] = "REQUEST_TOO_LARGE",
                 [415] = "INVALID_REQUEST", [429] = "OVERLOADED", [431] = "REQUEST_TOO_LARGE", [503] = "SERVICE_UNAVAILABLE",
                 [504] = "DEADLINE_EXCEEDED"}
-- Additional reasons for REST; the default is INVALID_REQUEST, as in http_bridge/errors.py.
local REST_REASONS = {[401] = "API_KEY_INVALID", [403] = "ROLE_INSUFFICIENT", [404] = "NOT_IMPLEMENTED", [421] = "ROLE_INSUFFICIENT",
                      [500] = "INTERNAL", [501] = "NOT_IMPLEMENTED", [502] = "SERVICE_UNAVAILABLE"}
local TYPE = '{"@type":"type.googleapis.com/google.rpc.'
local SAFE_METHODS = {GET = true, HEAD = true, OPTIONS = true}

-- Returns an error as JSON: with FastAPI's `detail` for the documented REST, google.rpc.Status in canonical JSON for /v1.
local function error_body(rest, status, message, field, id)
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

local function is_accepted_type(content_type)
  local kind = content_type:match("^[^;]*"):gsub("%s", ""):lower()
  return kind == "application/json" or kind == "application/x-ndjson" or kind:match("^application/[%w.-]+%+json$") or kind:match("^application/grpc")
end

-- Returns whether a page has another origin than the host of the request, or the host is no loopback name (DNS rebinding).
-- runtime/web/request_origin.py has the same rules; one test checks both against one table.
local function is_cross_origin(origin, host)
  local authority = origin:match("^https?://([^/]+)$")
  if not authority or authority ~= host then
    return true
  end
  local name = authority:gsub(":%d+$", "")
  return not (name == "localhost" or name == "[::1]" or name:match("^127%.%d+%.%d+%.%d+$"))
end

-- Returns the name or address in a Host header in lower case, without port and last dot; nil if it is invalid.
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

-- Returns whether a request without a key may name this host (protection against DNS rebinding).
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

-- Returns the error of a request to a gRPC path that is not gRPC; the services could not handle it.
local function grpc_problem(path, method, kind)
  if not (path:match("^/vouch%.v1%.") or path:match("^/grpc%.")) then
    return nil
  end
  if method ~= "POST" then
    return 405, MESSAGES[405], "POST"
  end
  if not (kind:match("^application/grpc$") or kind:match("^application/grpc[+;]")) then
    return 415, "this path accepts gRPC and gRPC-Web; send canonical JSON to the paths under /v1/"
  end
end

-- Returns the request id if it needs no escaping in JSON.
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
    handle:respond(headers, error_body(rest, status, message, nil, request_id(handle:headers())))
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local context = handle:filterContext()
  if context:get("check_host") and not is_allowed_host(headers:get(":authority"), context:get("hosts"), handle:streamInfo():downstreamLocalAddress()) then
    local grpc = (headers:get("content-type") or ""):match("^application/grpc") ~= nil
    refuse(handle, (headers:get(":path") or ""):sub(1, 5) == "/api/", grpc, 421, MESSAGES[421])
    return
  end
  if context:get("only_host") then
    return
  end
  local method, kind, origin = headers:get(":method"), headers:get("content-type") or "", headers:get("origin")
  local rest = (headers:get(":path") or ""):sub(1, 5) == "/api/"
  local state = handle:streamInfo():dynamicMetadata()
  -- The console accepts forms, checks their origin itself, and responds with pages.
  if (headers:get(":path") or ""):sub(1, 9) == "/console/" then
    state:set("vouch", "page", true)
    return
  end
  state:set("vouch", "rest", rest)
  state:set("vouch", "id", request_id(headers))
  state:set("vouch", "grpc", kind:match("^application/grpc") ~= nil)
  state:set("vouch", "method", method)
  local keyed = headers:get("x-api-key") or headers:get("authorization")
  if origin and not keyed and is_cross_origin(origin, headers:get(":authority")) then
    refuse(handle, rest, false, 403, MESSAGES[403])
    return
  end
  local status, message, allow = grpc_problem(headers:get(":path") or "", method, kind)
  if not status and not SAFE_METHODS[method] and not is_accepted_type(kind) then
    status, message = 415, MESSAGES[415]
  end
  if status then
    refuse(handle, rest, false, status, message, allow)
  end
end

-- Responses of the services are JSON or gRPC; those of Envoy itself are plain text or empty.
function envoy_on_response(handle)
  local headers = handle:headers()
  local status = tonumber(headers:get(":status"))
  if status < 400 or (headers:get("content-type") or "text/plain"):sub(1, 10) ~= "text/plain" then
    return
  end
  local state = handle:streamInfo():dynamicMetadata():get("vouch") or {}
  local rest, grpc, method = state["rest"], state["grpc"], state["method"]
  if grpc then
    return
  end
  local body = handle:body(true)  -- yields: values read from the handle before are invalid afterwards
  local message, field = MESSAGES[status] or "the edge cannot handle this request", nil
  if state["page"] then
    body:setBytes(message .. "\n")
    handle:headers():replace("content-length", tostring(#message + 1))
    return
  end
  if status == 400 then
    local envoy_message = body:getBytes(0, math.min(body:length(), 256))
    local path = envoy_message:match("^([%a_][%w_.%[%]]*): ")
    if path and #path <= 96 then
      field, message = path, "is not a valid value of this field"
    elseif not method then  -- refused before this filter ran
      message = "malformed request; header names must not contain underscores, for example"
    elseif SAFE_METHODS[method] then
      message = "unknown query parameter"
    else
      message = "the body is not valid JSON for this path"
    end
  end
  local text = error_body(rest, status, message, field, state["id"])
  body:setBytes(text)
  handle:headers():replace("content-type", "application/json")
  handle:headers():replace("content-length", tostring(#text))
end
