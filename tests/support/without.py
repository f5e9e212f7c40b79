#!/usr/bin/env python3
"""Runs a program for which the kernel refuses something with EPERM: `without.py WHAT[,WHAT] PROGRAM [ARGUMENT ...]`.

    filter    SO_ATTACH_FILTER, as Linux refuses it since June 2026 to whoever lacks NET_ADMIN
    unix      Unix sockets, as where one pod may not connect to another's

A seccomp filter of this process does it, so nothing of the machine changes."""
import ctypes
import os
import platform
import struct
import sys

# The numbers of setsockopt and socket, and the AUDIT_ARCH_* of linux/audit.h.
SETSOCKOPT, SOCKET, ARCHITECTURE = {
    "x86_64": (54, 41, 0xC000003E),
    "aarch64": (208, 198, 0xC00000B7),
}[platform.machine()]
SOL_SOCKET, SO_ATTACH_FILTER, AF_UNIX, EPERM = 1, 26, 1, 1
# What is refused: a system call, and values of its arguments by their positions.
KINDS = {
    "filter": (SETSOCKOPT, {1: SOL_SOCKET, 2: SO_ATTACH_FILTER}),
    "unix": (SOCKET, {0: AF_UNIX}),
}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | EPERM
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
# Offsets of struct seccomp_data: nr, arch, and the low half of the first argument.
NUMBER, ARCH, ARGUMENTS = 0, 4, 16


def refusal(call, arguments):
    """Refuses the call if all is so, and goes on behind these steps if not."""
    checks = [(NUMBER, call)] + [(ARGUMENTS + 8 * at, value) for at, value in arguments.items()]
    steps = []
    for offset, value in checks:
        # Over the steps that are left, and the refusal.
        left = 2 * (len(checks) - len(steps) // 2 - 1) + 1
        steps += [(LOAD, 0, 0, offset), (EQUAL, 0, left, value)]
    return steps + [(RETURN, 0, 0, REFUSE)]


what, *command = sys.argv[1:]
program = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, ARCHITECTURE), (RETURN, 0, 0, ALLOW)]
for kind in what.split(","):
    program += refusal(*KINDS[kind])
program.append((RETURN, 0, 0, ALLOW))
libc = ctypes.CDLL(None, use_errno=True)
steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
pointer = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(steps)))
for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, pointer, 0, 0)):
    if libc.prctl(*call) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(command[0], command)
