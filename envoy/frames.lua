-- A call of the contract sends one message, with its length in front. Of a body that is anything else the services would wait
-- for the rest, which does not come: it is refused here, in the words that they have for a request that breaks a rule.

local MESSAGE = "invalid request: body: is not one gRPC message with its length in front"
local DETAILS = "CAMSR2ludmFsaWQgcmVxdWVzdDogYm9keTogaXMgbm90IG9uZSBnUlBDIG1lc3NhZ2Ugd2l0aCBpdHMgbGVuZ3RoIGluIGZyb250GlMKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5FcnJvckluZm8SJwoPSU5WQUxJRF9SRVFVRVNUEgV2b3VjaBoNCgVmaWVsZBIEYm9keRpnCil0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuQmFkUmVxdWVzdBI6CjgKBGJvZHkSMGlzIG5vdCBvbmUgZ1JQQyBtZXNzYWdlIHdpdGggaXRzIGxlbmd0aCBpbiBmcm9udA"

local function is_one_message(body)
  if not body or body:length() < 5 then
    return false
  end
  local flag, a, b, c, d = body:getBytes(0, 5):byte(1, 5)
  return flag <= 1 and body:length() == 5 + ((a * 256 + b) * 256 + c) * 256 + d
end

-- In canonical JSON the body of a review is the order, and the transcoder drops what an order has no field for: `dry_run` there
-- would be lost, and the order recorded. Of two in the query it takes the last.
local function is_lost_dry_run(path, body)
  local query = path:match("^/v1/transactions:review%??(.*)$")
  if not query then
    return false
  end
  local _, given = ("&" .. query):gsub("&dry_?[rR]un=", "")
  return given > 1 or (body and body:getBytes(0, body:length()):find('"dry_?[rR]un"%s*:') ~= nil)
end

local DRY_RUN = '{"code":3,"message":"invalid request: dry_run: give it once, in the query: ?dry_run=true","details":[' ..
  '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INVALID_REQUEST","domain":"vouch","metadata":{"field":"dry_run"}},' ..
  '{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":[{"field":"dry_run","description":"give it once, in the query: ?dry_run=true"}]}]}'

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, kind = headers:get(":path") or "", headers:get("content-type") or ""
  if path:match("^/v1/transactions:review") and is_lost_dry_run(path, handle:body()) then
    handle:respond({[":status"] = "400", ["content-type"] = "application/json"}, DRY_RUN)
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
