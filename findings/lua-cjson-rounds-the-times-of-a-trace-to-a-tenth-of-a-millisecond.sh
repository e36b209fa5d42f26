#!/usr/bin/env bash
# Tool: lua-cjson 2.1.0 (lua-cjson 2.1.0+dfsg-2.2) with Lua 5.4 (lua5.4 5.4.4-3+deb12u1), both Debian 12.
# Expected: Lua has integers of 64 bits since version 5.3, and its own `%.17g` writes each double so that it reads as the same one. A
#   trace that is read and written again has the same times, or the ones nearest in a double.
# Seen: each number is a double when it is read, and 14 digits of it are written. The microseconds of a Chrome trace since 1970 have
#   16 digits, so all times are multiples of 100, and the order of short events is lost. The largest precision that
#   encode_number_precision() takes is 14, the default. Output, from the text to the text:
#     "ts": 1700000000123456 -> 1.7000000001235e+15
#     "ts": 1700000000123499 -> 1.7000000001235e+15
#     "id": 9007199254740993 -> 9.007199254741e+15
#     "seconds": 1700000000.123456 -> 1700000000.1235
#     a precision of 16: bad argument
# Matters: a script that filters or joins traces changes what it passes on. Events less than 100 us apart get one time, a short
#   span starts before the one that it is in, and an id of more than 14 digits names something else.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q lua-cjson=2.1.0+dfsg-2.2 lua5.4=5.4.4-3+deb12u1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
cat >copy.lua <<'LUA'
local cjson = require "cjson"
for _, text in ipairs {
    '"ts": 1700000000123456', '"ts": 1700000000123499', '"id": 9007199254740993', '"seconds": 1700000000.123456',
} do
    local copy = cjson.encode(cjson.decode("{" .. text .. "}"))
    print(text .. " -> " .. copy:match(":(.*)}"))
end
local worked, message = pcall(cjson.encode_number_precision, 16)
print("a precision of 16: " .. (worked and "taken" or message:match("bad argument")))
LUA
got=$(LUA_CPATH="deb/usr/lib/x86_64-linux-gnu/lua/5.4/?.so" deb/usr/bin/lua5.4 copy.lua)
want='"ts": 1700000000123456 -> 1.7000000001235e+15
"ts": 1700000000123499 -> 1.7000000001235e+15
"id": 9007199254740993 -> 9.007199254741e+15
"seconds": 1700000000.123456 -> 1700000000.1235
a precision of 16: bad argument'
echo "$got"; [ "$got" = "$want" ]
