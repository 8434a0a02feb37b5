"""Compiles the way of a message, when the package is built: every module that has a `.pxd` beside it.

Such a module is plain Python and works as it is; its `.pxd` gives Cython the types of what it holds, and
the compiled form is found before the source. Where there is no C compiler, or ARTCAFE_PLAIN is set, the
package is built without, says so, and is slower.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from Cython.Build import cythonize
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

_DIRECTIVES = {
    "language_level": 3,
    # Annotations are for people and mypy; the types are those of the .pxd.
    "annotation_typing": False,
    "infer_types": True,
    # None where an object was promised raises, as in Python.
    "nonecheck": True,
}


class Compiled(BuildHookInterface[Any]):
    """Puts the compiled modules beside their sources before the wheel is made of both."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, or say why not. Whatever was compiled before is gone."""
        source = Path(self.root, "src")
        modules = [types.with_suffix(".py") for types in sorted(source.rglob("*.pxd"))]
        for old in source.rglob("*.so"):
            old.unlink()
        if os.environ.get("ARTCAFE_PLAIN"):
            return
        try:
            with tempfile.TemporaryDirectory() as scratch:
                _compile(source, modules, Path(scratch))
        except (BaseError, CCompilerError, OSError) as error:
            self.app.display_warning(f"nothing is compiled, messages take about twice as long: {error}")
        else:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


# Their loops are over bytes, and with -O3 the compiler takes many of them at once.
_LOOPS = frozenset({"payload"})


def _compile(source: Path, modules: list[Path], scratch: Path) -> None:
    extensions = [
        # Its code is calls, to each other and to CPython: more than -O1 costs time here and saves none there.
        Extension(
            ".".join(module.relative_to(source).with_suffix("").parts),
            [str(module)],
            extra_compile_args=["-O3" if module.stem in _LOOPS else "-O1", "-g0"],
        )
        for module in modules
    ]
    made = cythonize(  # type: ignore[no-untyped-call]
        extensions,
        build_dir=str(scratch / "c"),
        include_path=[str(source), *sys.path],
        compiler_directives=_DIRECTIVES,
        nthreads=os.cpu_count() or 1,
        quiet=True,
    )
    command = build_ext(Distribution({"ext_modules": made}))
    command.build_lib, command.build_temp = str(scratch / "lib"), str(scratch / "o")
    command.parallel = os.cpu_count()
    command.ensure_finalized()
    command.run()
    for built in (scratch / "lib").rglob("*.so"):
        shutil.move(built, source / built.relative_to(scratch / "lib"))
