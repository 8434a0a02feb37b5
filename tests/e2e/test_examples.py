"""The examples, run as their page says: only the port is another one."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.platform import RunningPlatform, environment, running_platform

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = (EXAMPLES / "README.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.+?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


class Place:
    """A folder with the examples beside a running platform."""

    def __init__(self, platform: RunningPlatform, folder: Path) -> None:
        self._url = platform.url.removeprefix("http://")
        self._folder = folder
        self._environment = environment(
            ARTCAFE_DATA_DIR=str(platform.data_dir),
            ARTCAFE_URL=platform.url,
            PYTHONUNBUFFERED="1",
            HOME=os.fspath(folder),
        )
        shutil.copytree(EXAMPLES, folder / "examples")
        for path in (folder / "examples").iterdir():
            path.write_text(path.read_text().replace("127.0.0.1:8000", self._url))

    def run(self, commands: str) -> str:
        """What they print."""
        binaries = os.fspath(Path(sys.executable).parent)
        script = f'set -eum\nexport PATH="{binaries}:$PATH"\n' + commands.replace("$PWD/.venv/bin", binaries)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=self._environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("examples")
    with running_platform(folder / "data") as platform:
        place = Place(platform, folder / "here")
        [setup] = re.findall(r'```bash title="setup"\n(.+?)```', PAGE, re.DOTALL)
        place.run(setup)
        yield place


@pytest.mark.parametrize("title", SECTIONS)
def test_an_example_prints_what_its_page_says(place: Place, title: str) -> None:
    [commands] = re.findall(r"```bash\n(.+?)```", SECTIONS[title], re.DOTALL)
    [expected] = re.findall(r"```text\n(.+?)```", SECTIONS[title], re.DOTALL)

    printed = place.run(commands)

    assert all(line in printed for line in expected.splitlines()), printed


def test_every_program_has_its_place_on_the_page_and_is_a_page_long() -> None:
    programs = [path for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh"}]
    assert len(programs) == 5
    for path in programs:
        assert f"]({path.name})" in PAGE
        assert len(path.read_text().splitlines()) <= 80
