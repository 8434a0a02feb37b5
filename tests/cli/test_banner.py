"""What people are told once a server answers."""

from pathlib import Path

from artcafe.cli.banner import who_may_come
from artcafe.server.main import Running


def test_who_listens_for_others_is_told_where_they_may_come_and_which_setting_changes_it() -> None:
    running = Running(
        "http://127.0.0.1:8000", Path("/d"), "nats://x", True, ("ws://127.0.0.1:8000", "ws://b:8000")
    )

    said = who_may_come(running)

    assert "ws://127.0.0.1:8000 or ws://b:8000 alone" in said
    assert "ARTCAFE_PUBLIC_URL" in said
    assert "ws://NAME:8000" in said


def test_nobody_else_is_told_anything() -> None:
    assert who_may_come(Running("http://127.0.0.1:8000", Path("/d"), "nats://x", True)) == ""
