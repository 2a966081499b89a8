"""Runs a command and prints what it took, as one line of JSON, to file descriptor 3.

wall seconds, user and system CPU seconds of the command and what it waited for, and the largest resident memory of any one
process of it in MiB, all from the kernel's own accounting (wait4). The kernel counts from the fork on, so no command is said
to have less than this program, about 12 MiB. It must not know what the command is.
"""
import json
import os
import sys
import time

start = time.monotonic()
child = os.fork()
if child == 0:
    os.close(3)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - start
facts = {
    "code": os.waitstatus_to_exitcode(status),
    "wall_s": round(wall, 3),
    "user_s": round(usage.ru_utime, 3),
    "system_s": round(usage.ru_stime, 3),
    "peak_mib": round(usage.ru_maxrss / 1024, 1),
}
os.write(3, (json.dumps(facts) + "\n").encode())
