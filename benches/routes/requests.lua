-- Sends the requests of the file ROUTES_REQUESTS, which a line with a dot separates, one after the other.
local all, one = {}, {}
for line in io.lines(os.getenv("ROUTES_REQUESTS")) do
   if line == "." then
      all[#all + 1] = table.concat(one, "\r\n") .. "\r\n"
      one = {}
   else
      one[#one + 1] = (line:gsub("\r$", ""))
   end
end
local next = 0

function request()
   next = next % #all + 1
   return all[next]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'SUMMARY {"requests":%d,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"p50_us":%d,"p99_us":%d}\n',
      summary.requests, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
      latency:percentile(50), latency:percentile(99)))
end
