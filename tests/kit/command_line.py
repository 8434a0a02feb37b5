"""The command line in this process, with a home and an environment of its own."""

import os
from pathlib import Path

from click.testing import CliRunner, Result

from artcafe.cli.main import artcafe
from tests.kit.rest_stub import SECRET


class CommandLine:
    """Runs `artcafe …` and gives exit_code, stdout and stderr. Nothing of the tester's own home is read."""

    def __init__(self, home: Path, url: str | None = None) -> None:
        self.data_dir = home / ".artcafe"
        self.environment: dict[str, str | None] = {
            name: None for name in os.environ if name.startswith("ARTCAFE_") or name == "SSH_AUTH_SOCK"
        }
        self.environment |= {"HOME": str(home), "ARTCAFE_URL": url, "NO_COLOR": "1"}

    def keep_secret(self) -> None:
        """Be on the machine where the platform runs: its secret lies in the data directory."""
        (self.data_dir / "issuer").mkdir(parents=True)
        (self.data_dir / "issuer" / "secret").write_text(SECRET + "\n")

    def __call__(self, *args: object, text: str | bytes | None = None, **environment: str | None) -> Result:
        """Run one command; `text` is its standard input."""
        runner = CliRunner(env=self.environment | environment, catch_exceptions=False)
        return runner.invoke(artcafe, [str(arg) for arg in args], input=text, prog_name="artcafe")
