"""An issuer of the tests' own, for clients: it answers forms as told, and remembers them.

It is no stand-in for the embedded issuer, which tests meet for real; it does what that one never does.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CLIENT = "the-client"


@dataclass
class OAuthIssuer:
    """`answers` are given in turn, (status, object), the last one for ever; `forms` is what came."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    forms: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    challenge: str = ""
    """When set, the verifier of a code has to prove it."""

    def config(self, **changes: Any) -> dict[str, Any]:
        """What a platform says about it."""
        return {
            "issuer": self.url,
            "client_id": CLIENT,
            "scopes": ["openid", "email"],
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "device_authorization_endpoint": f"{self.url}/device",
            "end_session_endpoint": None,
            "revocation_endpoint": f"{self.url}/revoke",
            "authorization_response_iss_parameter_supported": True,
            **changes,
        }

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        """The next answer."""
        self.forms.append((path, form))
        if self.challenge and "code_verifier" in form:
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != self.challenge:
                return 400, {"error": "invalid_grant"}
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def tokens(access: str, **changes: Any) -> tuple[int, Any]:
    """A good answer of the token endpoint."""
    given = {"access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r1"}
    return 200, {name: value for name, value in {**given, **changes}.items() if value is not None}


@contextmanager
def oauth_issuer() -> Iterator[OAuthIssuer]:
    """Run one on a random port of this machine."""
    issuer = OAuthIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            status, answer = issuer.answer(urlsplit(self.path).path, form)
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            if status == 307:
                self.send_header("location", f"{issuer.url}/elsewhere")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
