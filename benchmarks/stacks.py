"""Where processor time went, read from what two samplers write.

perf tells for each sample which program code it was in, the kernel's included; py-spy tells which Python
function that code worked for. Both are read from text, so that nothing here depends on how it was recorded.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable

KERNEL = "kernel"
EVENT_LOOP = "event loop (uvloop)"
FRAMES = "frames (picows)"
JSON = "JSON (msgspec)"
CRYPTO = "cryptography"
STORE = "SQLite"
HTTP = "HTTP and validation"
COMPILED = "the platform, compiled (Cython)"
PYTHON = "Python (CPython)"
COLLECTOR = "garbage collector"
LIBC = "libc: memory, copies, locks"
OTHER = "other"

KINDS = (KERNEL, EVENT_LOOP, FRAMES, JSON, CRYPTO, STORE, HTTP, COMPILED, PYTHON, COLLECTOR, LIBC, OTHER)

_PLACES = (
    (r"^\[(kernel|guest\.kernel|bpf)|\.ko", KERNEL),
    (r"/uvloop/", EVENT_LOOP),
    (r"/picows/|/picows\.", FRAMES),
    (r"/msgspec/", JSON),
    (r"/cryptography/|/bcrypt/|libcrypto|libssl", CRYPTO),
    (r"sqlite3", STORE),
    (r"/httptools/|/pydantic_core/", HTTP),
    (r"/artcafe/(server|wire)/", COMPILED),
    (r"libpython|/python[\d.]*$|/lib-dynload/", PYTHON),
    (r"/libc[.-]|/libpthread|/ld-linux|\[vdso\]|/libm[.-]", LIBC),
)
"""What the file that holds the code says about it; the first that fits."""

_COLLECTS = re.compile(
    r"^(gc_\w+|_?PyGC_\w+|_PyObject_GC_\w*Collect\w*|deduce_unreachable|update_refs|subtract_refs"
    r"|move_unreachable|untrack_\w+|visit_(decref|reachable|\w*unreachable)|\w+_traverse)$"
)
"""Functions of CPython's collector, and the ones it goes through objects with."""

_SAMPLE = re.compile(r"^\s*(?P<pid>\d+)\s+[0-9a-f]+\s+(?P<symbol>.*) \((?P<file>[^()]*)\)\s*$")

_FRAME = re.compile(r"^(?P<function>.*) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")

_CALL = re.compile(r"^\s+(?P<name>[a-z_0-9]+)\s+(?P<count>\d+)\s+\d+\s+[\d.]+")

_WAITS = re.compile(r"acquire_lock|epoll_p?wait|sem_(clock|timed)?wait|cond_(clock|timed)?wait")
_CALLED = re.compile(
    r"^(__)?(libc_)?(read|write|writev|send|sendto|sendmsg|recv|recvfrom|recvmsg|accept4?|close|fsync|fdatasync"
    r"|pread64|pwrite64|epoll_ctl|epoll_p?wait|futex|shutdown|setsockopt|getsockopt|fcntl64|ftruncate64)$"
)
_NATIVE = re.compile(
    r"^(loop|core|stream|linux|udp|tcp|loop-watcher|timer|async)\.c$|^queue\.h$|picows|^_core\.|/msgspec/"
)
"""Source files of uvloop, libuv, picows and msgspec: perf has counted these apart."""

_BUILT = re.compile(r"^(artcafe/.*)\.cpython-[^/]*\.so$")
"""A module of the platform that is compiled."""

_OURS = "artcafe/server/"
_BELOW = ("artcafe/server/main.py", "artcafe/cli/", "benchmarks/", "click/")
"""What is under every stack: with nothing above it, the event loop itself was at work."""

BETWEEN = "between the modules"


def kind_of(symbol: str, file: str) -> str:
    """Which of KINDS a piece of code belongs to, by its name and the file that holds it."""
    for pattern, kind in _PLACES:
        if re.search(pattern, file):
            return COLLECTOR if kind == PYTHON and _COLLECTS.match(symbol) else kind
    return OTHER


def kinds(lines: Iterable[str]) -> dict[int, Counter[str]]:
    """Samples by process and kind, from `perf script -F pid,ip,sym,dso`."""
    found: dict[int, Counter[str]] = {}
    for line in lines:
        if sample := _SAMPLE.match(line):
            symbol, file = sample["symbol"].partition("+")[0], sample["file"]
            found.setdefault(int(sample["pid"]), Counter())[kind_of(symbol, file)] += 1
    return found


def rooms(lines: Iterable[str]) -> Counter[str]:
    """Samples of Python at work by the module it worked for, from `py-spy record --native --format raw`.

    That is the innermost module on the stack which is the platform's or a library's; the standard library
    works for whoever calls it. Waiting, system calls, and what the C of uvloop, picows and msgspec did are
    left out.
    """
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        frames = [frame for each in stack.split(";") if (frame := _FRAME.match(each))]
        if frames and not _elsewhere(frames):
            found[_room(frames)] += int(count)
    return found


def calls(lines: Iterable[str]) -> Counter[str]:
    """System calls by name, of all threads together, from `perf trace -s`."""
    found: Counter[str] = Counter()
    for line in lines:
        if call := _CALL.match(line):
            found[call["name"]] += int(call["count"])
    return found


def _elsewhere(frames: list[re.Match[str]]) -> bool:
    """Whether the innermost code waited, was in the kernel, or is counted by perf under another name."""
    if any(_WAITS.search(frame["function"]) for frame in frames[-4:]):
        return True
    leaf = frames[-1]
    return bool(_CALLED.match(leaf["function"]) or _NATIVE.search(leaf["file"]))


def _room(frames: list[re.Match[str]]) -> str:
    for frame in reversed(frames):
        file = _BUILT.sub(r"\1.py", frame["file"])
        first = file.partition("/")[0].removesuffix(".py")
        if not file.endswith(".py") or first in sys.stdlib_module_names:
            continue
        if file.startswith(_BELOW):
            return BETWEEN
        return (
            file.removeprefix(_OURS).removeprefix("artcafe/") if first == "artcafe" else f"{first} (library)"
        )
    return BETWEEN
