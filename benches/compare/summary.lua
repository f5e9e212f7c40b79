-- Connects to COMPARE_ADDRESS if it is set, whatever the name in the URL: that is the server name in TLS.
function wrk.resolve(host, service)
   wrk.addrs = wrk.lookup(os.getenv("COMPARE_ADDRESS") or host, service)
end

-- Sends a body with every request, if its length is given; made once.
function init(args)
   if tonumber(args[1] or 0) > 0 then
      wrk.method, wrk.body = "POST", string.rep("p", tonumber(args[1]))
   end
end

-- Prints wrk's totals as one line of JSON. There is no request() and no response() here on purpose:
-- with either of them wrk runs Lua for every request.
function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      'SUMMARY {"requests":%d,"duration_us":%d,"bytes":%d,"status":%d,"connect":%d,"read":%d,' ..
      '"write":%d,"timeout":%d,"p50_us":%d,"p99_us":%d}\n',
      summary.requests, summary.duration, summary.bytes, errors.status, errors.connect, errors.read,
      errors.write, errors.timeout, latency:percentile(50), latency:percentile(99)))
end
