#!/usr/bin/env bash
# Tool: taskstats (Linux 6.18; needs root of the initial namespaces and python3).
# Expected: read_char and write_char are "Bytes read" and "Bytes written"
#   (linux/taskstats.h).
# Seen: they are rounded down to whole KiB for each thread. A process that writes
#   1023 bytes wrote 0, and /proc/PID/io of the same process says 1023.
# Matters: a sum over many short processes is far too small: ten thousand that
#   write 1000 bytes each wrote nothing.
set -euo pipefail
got=$(python3 - <<'PY'
import os, socket, struct
def request(family, command, attribute, value, flags):
    body = bytes([command, 1, 0, 0]) + struct.pack("HH", 4 + len(value), attribute) + value
    body += b"\0" * (-len(body) % 4)
    link.sendto(struct.pack("IHHII", 16 + len(body), family, 1 | flags, 0, 0) + body, (0, 0))
    return link.recv(8192)
def attributes(data):
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        yield kind & 0x3fff, data[4:length]
        data = data[(length + 3) & ~3:]
link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
link.bind((0, 0))
link.setsockopt(socket.SOL_SOCKET, 33, 1 << 20)
family, = struct.unpack("H", dict(attributes(request(16, 3, 2, b"TASKSTATS\0", 0)[20:]))[1])
request(family, 1, 3, open("/sys/devices/system/cpu/online").read().strip().encode() + b"\0", 4)
for size in [1023, 3000]:
    child = os.fork()
    if child == 0:
        os.write(os.open("/dev/null", os.O_WRONLY), b"x" * size)
        own = dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
        os._exit(0 if int(own["wchar"]) == size else 1)
    assert os.waitpid(child, 0)[1] == 0
    while True:
        stats = dict(attributes(dict(attributes(link.recv(8192)[20:])).get(4, b""))).get(3)
        if stats and struct.unpack_from("I", stats, 128)[0] == child:
            break
    print(size, "written,", struct.unpack_from("Q", stats, 224)[0], "seen")
PY
)
echo "$got"
[ "$got" = $'1023 written, 0 seen\n3000 written, 2048 seen' ]
