-- A call of the contract sends one length-prefixed message. For any other body the services would wait for data that never
-- arrives, so it is refused here with the error for an invalid request.

local MESSAGE = "invalid request: body: is not exactly one length-prefixed gRPC message"
local DETAILS = "CAMSRmludmFsaWQgcmVxdWVzdDogYm9keTogaXMgbm90IGV4YWN0bHkgb25lIGxlbmd0aC1wcmVmaXhlZCBnUlBDIG1lc3NhZ2UaUwoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkVycm9ySW5mbxInCg9JTlZBTElEX1JFUVVFU1QSBXZvdWNoGg0KBWZpZWxkEgRib2R5GmYKKXR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5CYWRSZXF1ZXN0EjkKNwoEYm9keRIvaXMgbm90IGV4YWN0bHkgb25lIGxlbmd0aC1wcmVmaXhlZCBnUlBDIG1lc3NhZ2U"

local function is_one_message(body)
  if not body or body:length() < 5 then
    return false
  end
  local flag, a, b, c, d = body:getBytes(0, 5):byte(1, 5)
  return flag <= 1 and body:length() == 5 + ((a * 256 + b) * 256 + c) * 256 + d
end

-- In canonical JSON the body of a review is the order, and the transcoder drops unknown fields: `dry_run` in the body would be
-- lost, and the order recorded. Of two query parameters the transcoder takes the last.
local function is_lost_dry_run(path, body)
  local query = path:match("^/v1/transactions:review%??(.*)$")
  if not query then
    return false
  end
  local _, given = ("&" .. query):gsub("&dry_?[rR]un=", "")
  return given > 1 or (body and body:getBytes(0, body:length()):find('"dry_?[rR]un"%s*:') ~= nil)
end

-- The body is the order itself. The transcoder would drop an object around it, and the service would miss every field.
local function is_wrapped(body)
  return body and body:getBytes(0, math.min(body:length(), 256)):match('^%s*{%s*"transaction"%s*:') ~= nil
end

local function refuse(handle, field, advice)
  local body = '{"code":3,"message":"invalid request: FIELD: ADVICE","details":[' ..
    '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INVALID_REQUEST","domain":"vouch","metadata":{"field":"FIELD"}},' ..
    '{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":[{"field":"FIELD","description":"ADVICE"}]}]}'
  handle:respond({[":status"] = "400", ["content-type"] = "application/json"}, (body:gsub("%u+", {FIELD = field, ADVICE = advice})))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, kind = headers:get(":path") or "", headers:get("content-type") or ""
  if path:match("^/v1/transactions:review") or path:match("^/v1/transactions:predict%f[?%z]") then
    local body = handle:body()  -- waits for the whole body: not for other paths, of which some are open streams
    if is_lost_dry_run(path, body) then
      refuse(handle, "dry_run", "set it once, in the query: ?dry_run=true")
    elseif is_wrapped(body) then
      refuse(handle, "transaction", "send the fields of the order as the body itself, without the object `transaction` around them")
    end
    return
  end
  if not path:match("^/vouch%.v1%.") or not kind:match("^application/grpc") then
    return
  end
  if not is_one_message(handle:body()) then
    handle:respond({[":status"] = "200", ["content-type"] = "application/grpc", ["grpc-status"] = "3",
                    ["grpc-message"] = MESSAGE, ["grpc-status-details-bin"] = DETAILS})
  end
end
