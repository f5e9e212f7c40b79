#!/usr/bin/env python3
"""Runs a program for which the kernel refuses SO_ATTACH_FILTER with EPERM, as Linux does since June 2026 to whoever
lacks NET_ADMIN: `without_filter.py PROGRAM [ARGUMENT ...]`. A seccomp filter of this process does it, so nothing of the
machine changes."""
import ctypes
import os
import platform
import struct
import sys

# The number of setsockopt and the AUDIT_ARCH_* of linux/audit.h.
SETSOCKOPT, ARCHITECTURE = {"x86_64": (54, 0xC000003E), "aarch64": (208, 0xC00000B7)}[platform.machine()]
SOL_SOCKET, SO_ATTACH_FILTER, EPERM = 1, 26, 1
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | EPERM
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
# Offsets of struct seccomp_data: nr 0, arch 4, the low halves of args[1] 24 and of args[2] 32.
PROGRAM = [
    (LOAD, 0, 0, 4), (EQUAL, 0, 7, ARCHITECTURE),
    (LOAD, 0, 0, 0), (EQUAL, 0, 5, SETSOCKOPT),
    (LOAD, 0, 0, 24), (EQUAL, 0, 3, SOL_SOCKET),
    (LOAD, 0, 0, 32), (EQUAL, 0, 1, SO_ATTACH_FILTER),
    (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW),
]

libc = ctypes.CDLL(None, use_errno=True)
instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in PROGRAM))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(PROGRAM), ctypes.addressof(instructions)))
for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
    if libc.prctl(*call) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
