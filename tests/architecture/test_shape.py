"""The shape of the tree: names, sizes, docstrings, and what never stands in a file."""

import ast
import re
from collections.abc import Iterator

from tests.kit.tree import ROOT, SOURCE, TESTS, files, modules, syntax

LONGEST = 400
LONGER = {
    "server/app.py": 410,
    "server/bus/memory.py": 420,
    "server/gateway/fanout/subscriber.py": 470,
}
"""Files that are to be parted next, and how long they may be until then."""

VERSIONS = r"v\d+|fixed|new|old|simple|debug|complete|copy|tmp"
VAGUE = r"utils?|helpers?|manager|service|base|common|misc|stuff"
BAD_FILE_NAME = re.compile(rf"(^|_)({VERSIONS}|{VAGUE})(_|$)")
BAD_CLASS_NAME = re.compile(r"(Manager|Service|Helpers?|Utils?|Base)$")

UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")

# Nina is the person of the examples.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home(?!/nina\b)|Users|mnt|private|scratch)/")
PRIVATE = {
    "an account or resource of Amazon's": re.compile(r"arn:aws[\w-]*:[\w-]*:[\w-]*:\d{12}:"),
    "an access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a user pool": re.compile(r"\b[a-z]{2}-[a-z]+-\d_(?!EXAMPLE|Example)[A-Za-z0-9]{9}\b"),
    "a machine": re.compile(r"\bi-[0-9a-f]{17}\b|\bec2-\d+-\d+-\d+-\d+\."),
    "an API's own host": re.compile(r"\b[a-z0-9]{10}\.execute-api\."),
    "a host of a private network": re.compile(r"//[\w.-]+\.(internal|intranet|corp|lan)\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\\?n?\s*[A-Za-z0-9+/=]{40}"),
}

TEXT = {".py", ".md", ".toml", ".txt", ".in", ".yaml", ".yml", ".json", ".html", ".css", ".js", ".conf", ""}


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the project, by its path."""
    for path in files():
        if path.suffix in TEXT:
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def undocumented(node: ast.Module | ast.ClassDef, name: str) -> Iterator[str]:
    """The public names in a module or class that say nothing. A variant of an overload needs not."""
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        variant = "overload" in {ast.unparse(decorator) for decorator in child.decorator_list}
        if child.name.startswith("_") or variant:
            continue
        if ast.get_docstring(child) is None:
            yield f"{name}.{child.name}"
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, f"{name}.{child.name}")


def test_what_is_public_has_a_docstring() -> None:
    assert not [module for module in modules() if not ast.get_docstring(syntax(module))]
    assert not [name for module in modules() for name in undocumented(syntax(module), module)]


def test_a_file_is_a_room_one_can_read_in_a_sitting() -> None:
    assert not [
        f"{module}: {lines}"
        for module in modules()
        if (lines := len((SOURCE / module).read_text().splitlines())) > LONGER.get(module, LONGEST)
    ]


def test_names_are_plain_nouns() -> None:
    names = [path.relative_to(ROOT) for folder in (SOURCE, TESTS) for path in files(folder)]
    assert not [
        name for name in names if any(BAD_FILE_NAME.search(part.split(".")[0]) for part in name.parts)
    ]
    classes = [
        f"{module}: {node.name}"
        for module in modules()
        for node in ast.walk(syntax(module))
        if isinstance(node, ast.ClassDef)
    ]
    assert not [name for name in classes if BAD_CLASS_NAME.search(name)]


def test_no_scripts_at_the_root() -> None:
    assert not [path.name for path in ROOT.iterdir() if path.suffix in {".py", ".sh"}]


def test_nothing_is_left_unfinished() -> None:
    assert not [name for name, text in texts() if name != "LICENSE" and UNFINISHED.search(text)]


def test_no_file_names_a_machine_or_private_infrastructure() -> None:
    found = [f"{name}: {match[0]}" for name, text in texts() if (match := MACHINE_PATH.search(text))]
    found += [
        f"{name}: {what}"
        for name, text in texts()
        for what, pattern in PRIVATE.items()
        if pattern.search(text)
    ]
    assert not found


def test_pinned_requirements_name_no_place_to_fetch_them_from() -> None:
    pinned = list((ROOT / "requirements").glob("*.txt"))
    assert pinned
    for path in pinned:
        text = path.read_text()
        assert "://" not in text
        assert "--index" not in text
        assert "--extra-index" not in text
        assert "--find-links" not in text
        assert "--trusted-host" not in text
