-- GET /drain: tells Envoy to drain its listeners. The fault filter behind this holds the answer back.
function envoy_on_request(handle)
  if handle:headers():get(":path") ~= "/drain" or handle:headers():get(":method") ~= "GET" then
    handle:respond({[":status"] = "404"}, "")
    return
  end
  handle:httpCall("admin", {
    [":method"] = "POST",
    [":path"] = "/drain_listeners?graceful&skip_exit",
    [":authority"] = "admin",
  }, "", 2000)
end
