"""Agents to sign with: a real ssh-agent process, and one that answers whatever a test wants."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kit.deadlines import PATIENCE
from tests.kit.sshsig import SecurityKey, string, strings


@contextmanager
def running_ssh_agent(socket_path: Path) -> Iterator[Path]:
    """Run ssh-agent, empty, at this socket until the block ends."""
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _accepts(socket_path):
            assert time.monotonic() < deadline, "ssh-agent does not start"
            time.sleep(0.01)
        yield socket_path
    finally:
        agent.terminate()
        agent.wait(10)


def _accepts(socket_path: Path) -> bool:
    """Whether somebody listens: the file is there a moment before."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(socket_path)) == 0


def add_key(socket_path: Path, *key: str | Path) -> None:
    """Run `ssh-add` on a private key's file; `-D` removes every key, `-x` locks the agent."""
    environment = {"SSH_AUTH_SOCK": str(socket_path)}
    command = ["ssh-add", "-q", *map(str, key)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=10)


@contextmanager
def pretended_agent(socket_path: Path, answer: Callable[[bytes], bytes | None]) -> Iterator[Path]:
    """Serve a socket until the block ends: `answer` gets a request and returns all bytes to send.

    It hangs up after one answer; on None it keeps quiet until the peer goes away.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        server = threading.Thread(target=_serve, args=(listener, answer))
        server.start()
        try:
            yield socket_path
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join(10)


def security_key_agent(key: SecurityKey) -> Callable[[bytes], bytes]:
    """The answers of an agent that holds one hardware key, touched whenever it is asked."""

    def answer(request: bytes) -> bytes:
        if request == b"\x0b":
            return string(b"\x0c" + (1).to_bytes(4, "big") + string(key.blob) + string(b"token"))
        blob, data = strings(request[1:-4])
        assert blob == key.blob
        return string(b"\x0e" + string(key.answer(data)))

    return answer


def _serve(listener: socket.socket, answer: Callable[[bytes], bytes | None]) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return  # the block ended
        with peer, peer.makefile("rb") as incoming:
            reply = answer(incoming.read(int.from_bytes(incoming.read(4), "big")))
            if reply is None:
                incoming.read()
            else:
                peer.sendall(reply)
