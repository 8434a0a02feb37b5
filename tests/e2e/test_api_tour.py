"""docs/api.md, run word for word: only the port is another one, and `…` stands for what differs."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.kit.platform import environment, running_platform

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCK = re.compile(r"```(bash|text|json)\n(.*?)```", re.DOTALL)
MARK = "---- the next example ----"


def examples() -> list[tuple[str, list[str]]]:
    """The page's commands in order, each with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for kind, text in BLOCK.findall(PAGE.read_text()):
        if kind == "bash":
            found.append((text, []))
        else:
            commands, printed = found.pop()
            assert not printed, f"two answers to one example:\n{commands}"
            found.append((commands, text.splitlines()))
    return found


def fits(said: str, line: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, said.split("…"))), line) is not None


def test_every_block_of_the_page_is_an_example() -> None:
    assert PAGE.read_text().count("```") == 2 * len(BLOCK.findall(PAGE.read_text()))
    assert all(printed for _, printed in examples()), "an example shows what it prints"


def test_the_tour_works_as_written(tmp_path: Path) -> None:
    parts = examples()
    with running_platform(tmp_path / "data") as platform:
        script = "set -eu\n" + f"echo '{MARK}'\n".join(commands for commands, _ in parts)
        done = subprocess.run(
            ["bash", "-c", script.replace("127.0.0.1:8000", platform.url.removeprefix("http://"))],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            env=environment(
                ARTCAFE_DATA_DIR=str(platform.data_dir),
                HOME=os.fspath(tmp_path),
                PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            ),
        )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(f"{MARK}\n")
    assert len(printed) == len(parts)
    for (commands, said), text in zip(parts, printed, strict=True):
        lines = text.splitlines()
        assert len(lines) == len(said), f"{commands}\n{text}"
        for wanted, line in zip(said, lines, strict=True):
            assert fits(wanted, line), f"{commands}\n{wanted}\n{line}"
