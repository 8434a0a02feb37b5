"""Publishing over REST."""

from benchmarks.dialect import Arrived, Rest, Talk
from benchmarks.payload import Stamp, place_of_number
from benchmarks.websocket import HungUp


class HttpDialect:
    """POST requests on connections that stay, one after the other."""

    echoes = True

    def __init__(self, address: str, path: str, headers: dict[str, str]) -> None:
        lines = [f"POST {path} HTTP/1.1", f"Host: {address}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join(lines)

    def opening(self, client: int) -> bytes:
        """Nothing is said before the first request."""
        return b""

    def opened(self, data: bytes) -> bytes | None:
        """Nothing is awaited."""
        return data

    def join(self, client: int, subject: str | None) -> Talk:
        """No login: each request carries its own."""
        yield from ()

    def publish(self, subject: str, body: bytes) -> Stamp:
        """One request."""
        request = f"{self._head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        return Stamp(request, place_of_number(request), bytes(8))

    def split(self, rest: Rest, data: bytes) -> Arrived:
        """Whole responses, of which each has to be a success."""
        data = rest[0] + data
        answers: list[bytes] = []
        while (end := data.find(b"\r\n\r\n") + 4) > 3:
            head = data[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(data) < end + length:
                break
            if head[9:10] != b"2":
                raise HungUp(data[: end + length].decode("latin-1"))
            answers.append(data[end : end + length])
            data = data[end + length :]
        return Arrived(answers, (data, b""), b"")

    def body(self, message: bytes) -> bytes | None:
        """Each answer stands for its publish."""
        return message
