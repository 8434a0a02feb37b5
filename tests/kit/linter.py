"""import-linter kept running: starting it takes longer than judging the whole package.

Run as a script in the folder that holds the package; each line of input is answered by a judgement.
"""

import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from importlinter.cli import lint_imports

_END = "--- judged"
_VERDICT = re.compile(r"^(?P<name>.+) (?P<verdict>KEPT|BROKEN)\b", re.MULTILINE)


class Linter:
    """Judges the package in `folder` by the contracts of `config`, as it stands at each call."""

    def __init__(self, folder: Path, config: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, config],  # -P: kit/platform.py must not hide the library's
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Linter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def judge(self) -> dict[str, bool]:
        """Whether each contract holds, by its name. A fault of the configuration names no contract."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        report = ""
        for line in self._process.stdout:
            if line == f"{_END}\n":
                break
            report += line
        return {match["name"]: match["verdict"] == "KEPT" for match in _VERDICT.finditer(report)}


if __name__ == "__main__":
    for _ in sys.stdin:
        lint_imports(config_filename=sys.argv[1], no_cache=True, no_logo=True)
        print(_END, flush=True)  # noqa: T201
