"""The README's five minutes, run word for word: only the port is another one."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.kit.platform import environment, running_platform

README = Path(__file__).parents[2] / "README.md"


def blocks() -> tuple[dict[str, str], list[str], str]:
    """The tour's files by name, its shell commands in order, and what the two agents print."""
    tour = README.read_text().split("## Five minutes")[1].split("\n## ")[0]
    files = dict(re.findall(r'```python title="(.+?)"\n(.+?)```', tour, re.DOTALL))
    commands = re.findall(r"```bash\n(.+?)```", tour, re.DOTALL)
    [printed] = re.findall(r"```text\n(.+?)```", tour, re.DOTALL)
    return files, commands, printed


def test_the_tour_works_as_written(tmp_path: Path) -> None:
    files, commands, printed = blocks()
    assert set(files) == {"helper.py", "planner.py", "clock.py"}
    with running_platform(tmp_path / "data") as platform:
        place = platform.url.removeprefix("http://")
        folder = tmp_path / "tour"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text.replace("127.0.0.1:8000", place))
        script = "set -eum\n" + "\n".join(commands).replace("127.0.0.1:8000", place)
        script = script.replace("$PWD/.venv/bin", os.fspath(Path(sys.executable).parent))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=environment(
                ARTCAFE_DATA_DIR=str(platform.data_dir), PYTHONUNBUFFERED="1", HOME=os.fspath(tmp_path)
            ),
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(printed.splitlines()) <= set(done.stdout.splitlines()), done.stdout
    counted = max(map(int, re.findall(r'"messages_count":(\d+)', done.stdout)))
    assert counted >= 4, "the usage shows two questions and their answers"
