"""The processes' small print; starting and stopping is in tests/e2e/test_start_and_stop.py."""

from pathlib import Path

from artcafe.server.main import nats_config
from artcafe.server.seed import load_seed
from artcafe.server.settings import load


def test_the_configuration_of_nats_is_the_same_every_time_and_holds_no_secret(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)

    def keys(text: str) -> list[str]:
        return [line for line in text.splitlines() if "eyJ" not in line]

    one, two = (
        nats_config(settings, listen="127.0.0.1:4222", data_dir=Path("/var/lib/nats"), name="n1")
        for _ in range(2)
    )
    assert keys(one) == keys(two)
    assert "sync_interval: always" in one
    assert load_seed(settings).hex() not in one
