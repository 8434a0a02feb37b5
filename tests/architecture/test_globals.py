"""Importing a module builds nothing that lives: no connection, no cache, no registry, no task.

Everything is built by server/app.py or by the caller, so two platforms fit into one process and a
test starts from nothing. What may run at import is written down here, with its reason.
"""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch

import pytest

from tests.kit.tree import modules, syntax

# Calls that may run when a module is imported: a pattern of their names, and why.
CALLS = {
    "NewType": "a type",
    "TypeVar": "a type",
    "ParamSpec": "a type",
    "Meta": "a constraint of a type",
    "field": "declares a field",
    "msgspec.field": "declares a field",
    "Field": "declares a field",
    "SettingsConfigDict": "declares how settings are read, reads nothing",
    "named": "names a setting in the environment, reads nothing",
    "ConfigDict": "declares how a model is read and described",
    "Header": "declares a header of a request",
    "AfterValidator": "declares a rule of a field",
    "BeforeValidator": "declares a rule of a field",
    "Depends": "declares a dependency of a route",
    "HTTPBearer": "reads one header, remembers nothing",
    "_Text": "a kind of argument: a pattern and its name",
    "APIRouter": "a list of routes, filled by the decorators of its own module",
    "click.*": "declares a command line",
    "PolicyFile": "declares the type of a command's option",
    "JsonText": "declares the type of a command's option",
    "logging.getLogger": "the standard library's own registry",
    "msgspec.json.Decoder": "a compiled type: no state between two calls",
    "json.JSONDecoder": "options: no state between two calls",
    "re.compile": "a compiled pattern",
    "re.escape": "pure",
    "frozenset": "a constant",
    "list": "pure",
    "tuple": "pure",
    "fields": "reads a type",
    "range": "pure",
    "bytes.fromhex": "a constant",
    "*.join": "pure",
    "_OWNED.items": "pure",
    "get_args": "reads a type",
    "Path": "a name, not a file",
    "Path(*).with_name": "a name, not a file",
    "version": "reads the installed version of this package, a constant",
    "hashes.SHA*": "a name for an algorithm, holds no state",
    "ec.SECP*": "a name for a curve, holds no state",
}

# Decorators: they run at import, too.
DECORATORS = {
    "asynccontextmanager": "wraps a function",
    "contextmanager": "wraps a function",
    "contextlib.*contextmanager": "wraps a function",
    "classmethod": "wraps a function",
    "staticmethod": "wraps a function",
    "property": "wraps a function",
    "lru_cache": "remembers what a pure function gave, in few entries",
    "overload": "a type",
    "dataclass": "makes a record of a class",
    "*_validator": "declares a rule of the settings",
    "router.*": "fills the router of the same module",
}

COMMANDS = "cli/"
"""A command is a function under decorators; those of this folder declare options and wrap functions."""

MUTATORS = {"add", "append", "clear", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}


class AtImport(ast.NodeVisitor):
    """Collects what runs when the module is imported: calls and decorators, in classes too."""

    def __init__(self) -> None:
        self.calls: list[ast.Call] = []
        self.decorators: list[ast.expr] = []

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.decorators += node.decorator_list
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # the name is ast.NodeVisitor's

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Its body runs when it is called."""

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.decorators += node.decorator_list
        for statement in node.body:
            self.visit(statement)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "__name__ == '__main__'":
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.calls.append(node)
        self.generic_visit(node)


def at_import(module: str) -> AtImport:
    visitor = AtImport()
    visitor.visit(syntax(module))
    return visitor


def frozen_records() -> Iterator[str]:
    """The package's own classes whose instances cannot change: an instance of one is a constant."""
    for module in modules():
        for node in ast.walk(syntax(module)):
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(decorator).startswith("dataclass(") and "frozen=True" in ast.unparse(decorator)
                for decorator in node.decorator_list
            ):
                yield node.name
            elif isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("NewType("):
                yield ast.unparse(node.targets[0])


CONSTANT_RECORDS = frozenset(frozen_records())


def listed(name: str, patterns: dict[str, str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def test_importing_a_module_builds_nothing_that_lives() -> None:
    assert not [
        f"{module}:{call.lineno}: {name}(…) runs at import"
        for module in modules()
        for call in at_import(module).calls
        if not listed(name := ast.unparse(call.func), CALLS) and name not in CONSTANT_RECORDS
    ]


def test_decorators_declare_and_wrap() -> None:
    assert not [
        f"{module}:{node.lineno}: @{name} runs at import"
        for module in modules()
        if not module.startswith(COMMANDS)
        for node in at_import(module).decorators
        if not listed(name := ast.unparse(node.func if isinstance(node, ast.Call) else node), DECORATORS)
    ]


def changes(tree: ast.Module) -> Iterator[int]:
    """The lines that write to a module's own names after the module was made."""
    tables = {
        ast.unparse(target)
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
    }
    for node in ast.walk(tree):
        match node:
            case ast.Global():
                yield node.lineno
            case ast.Subscript(ctx=ast.Store() | ast.Del()) if ast.unparse(node.value) in tables:
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr=method, value=table)) if method in MUTATORS:
                if ast.unparse(table) in tables:
                    yield node.lineno


def test_nothing_at_module_level_changes() -> None:
    assert not [f"{module}:{line}" for module in modules() for line in changes(syntax(module))]


@pytest.mark.parametrize(
    "text",
    [
        "SEEN = {}\ndef see(x): SEEN[x] = 1",
        "SEEN = []\ndef see(x): SEEN.append(x)",
        "last = None\ndef see(x):\n    global last\n    last = x",
    ],
)
def test_a_change_at_module_level_is_seen(text: str) -> None:
    assert list(changes(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "bus = Bus()",
        "class Room:\n    store = connect('x')",
        "def room(cache=Cache()): ...",
        "if True:\n    start()",
        "TABLE = [open(name) for name in 'ab']",
    ],
)
def test_a_call_at_import_is_seen(text: str) -> None:
    visitor = AtImport()
    visitor.visit(ast.parse(text))
    assert [call for call in visitor.calls if not listed(ast.unparse(call.func), CALLS)]


def test_every_allowance_is_used() -> None:
    """An allowance that nothing needs any more would let something in unseen."""
    calls = {ast.unparse(call.func) for module in modules() for call in at_import(module).calls}
    assert not [pattern for pattern in CALLS if not any(fnmatch(name, pattern) for name in calls)]
