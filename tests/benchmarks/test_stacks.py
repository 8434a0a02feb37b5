"""What the samplers write is read as what it says."""

import pytest

from benchmarks import stacks
from benchmarks.stacks import kinds, rooms

SITE = "/srv/.venv/lib/python3.11/site-packages"
PYTHON = "/usr/lib/libpython3.11.so.1.0"


@pytest.mark.parametrize(
    ("symbol", "file", "kind"),
    [
        ("tcp_sendmsg_locked", "[kernel.kallsyms]", stacks.KERNEL),
        ("nf_hook_slow", "/lib/modules/6.1/nf_tables.ko", stacks.KERNEL),
        ("uv__io_poll", f"{SITE}/uvloop/loop.cpython-311-x86_64-linux-gnu.so", stacks.EVENT_LOOP),
        ("get_next_frame", f"{SITE}/picows/picows.cpython-311-x86_64-linux-gnu.so", stacks.FRAMES),
        ("json_skip_string", f"{SITE}/msgspec/_core.cpython-311-x86_64-linux-gnu.so", stacks.JSON),
        ("bcrypt_hash", f"{SITE}/cryptography/hazmat/bindings/_rust.abi3.so", stacks.CRYPTO),
        ("sqlite3VdbeExec", "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6", stacks.STORE),
        ("llhttp__internal_execute", f"{SITE}/httptools/parser/parser.so", stacks.HTTP),
        (
            "__pyx_f_7artcafe_take",
            "/srv/src/artcafe/server/gateway/fanout/hub.cpython-311.so",
            stacks.COMPILED,
        ),
        ("_PyEval_EvalFrameDefault", PYTHON, stacks.PYTHON),
        ("_PyEval_EvalFrameDefault", "/usr/bin/python3.11", stacks.PYTHON),
        ("gc_collect_main", PYTHON, stacks.COLLECTOR),
        ("dict_traverse", "/usr/bin/python3.11", stacks.COLLECTOR),
        ("__memmove_avx512_unaligned_erms", "/usr/lib/x86_64-linux-gnu/libc.so.6", stacks.LIBC),
        ("[unknown]", "[unknown]", stacks.OTHER),
    ],
)
def test_a_piece_of_code_is_of_the_kind_that_its_file_and_name_say(symbol: str, file: str, kind: str) -> None:
    assert stacks.kind_of(symbol, file) == kind


def test_samples_are_counted_by_process_and_kind() -> None:
    server = f"nats-io/nats-server/v2/server.(*client).flushOutbound (/srv/.venv/bin/{'nats-server'})"
    lines = [
        f"  17  16321c wrapper_dealloc ({PYTHON})",
        " 17 ffffffff81e2cd59 sock_write_iter+0x1f ([kernel.kallsyms])",
        f"  17  2bcb20 gc_collect_main+0x10 ({PYTHON})",
        f"  18  47a3c0 {server}",
        "",
        "no sample",
    ]
    found = kinds(lines)
    assert found[17] == {stacks.PYTHON: 1, stacks.KERNEL: 1, stacks.COLLECTOR: 1}
    assert found[18] == {stacks.OTHER: 1}


BELOW = (
    "_run_module_as_main (<frozen runpy>:198);<module> (benchmarks/peers/unthrottled.py:14);"
    "main (artcafe/cli/main.py:92);Command.__call__ (click/core.py:1653);run (artcafe/server/main.py:65);"
    "Runner.run (asyncio/runners.py:118);run_until_complete (loop.c:35410);uv_run (core.c:464)"
)


@pytest.mark.parametrize(
    ("above", "room"),
    [
        (
            ";Session.take (artcafe/server/gateway/sessions/agent_session.py:120)",
            "gateway/sessions/agent_session.py",
        ),
        (";encode (artcafe/wire/frames.py:9);PyBytes_Join (libpython3.11.so.1.0)", "wire/frames.py"),
        (
            ";text (picows/picows.cpython-311.so);take (artcafe/server/gateway/fanout/hub.cpython-311.so)",
            "gateway/fanout/hub.py",
        ),
        (";read (artcafe/server/identity/oidc.py:3);loads (json/__init__.py:346)", "identity/oidc.py"),
        (";read (artcafe/server/identity/oidc.py:3);decode (jwt/api_jws.py:20)", "jwt (library)"),
        (";Handle._run (asyncio/events.py:84)", stacks.BETWEEN),
    ],
)
def test_python_at_work_is_counted_for_the_innermost_module(above: str, room: str) -> None:
    assert rooms([f"{BELOW}{above} 7\n"]) == {room: 7}


@pytest.mark.parametrize(
    "above",
    [
        ";flush (artcafe/server/gateway/websocket/writer.py:61);write (libc.so.6)",
        ";uv__io_poll (linux.c:1452);epoll_pwait (libc.so.6)",
        ";get (queue.py:171);PyThread_acquire_lock_timed (libpython3.11.so.1.0);0x7f (libc.so.6)",
        ";take (artcafe/server/gateway/sessions/agent_session.py:120);json_skip_string (_core.c:12)",
        ";uv__stream_io (stream.c:1210)",
    ],
)
def test_what_perf_counts_elsewhere_is_not_pythons(above: str) -> None:
    assert not rooms([f"{BELOW}{above} 7"])


def test_system_calls_are_counted_over_all_threads() -> None:
    lines = [
        " python (17), 1234 events, 98.1%",
        "   syscall            calls  errors  total       min       avg       max       stddev",
        "   --------------- --------  ------ -------- --------- --------- ---------     ------",
        "   epoll_pwait          120      0   810.1     0.000     6.751    12.112      4.43%",
        "   write                 60      0     1.9     0.010     0.031     0.075      4.32%",
        " python (18), 10 events, 1.9%",
        "   write                  5      1     0.1     0.010     0.031     0.075      4.32%",
    ]
    assert stacks.calls(lines) == {"epoll_pwait": 120, "write": 65}
