"""docs/glossary.md: its tables are sorted and name each public class of the gateway and the bus."""

import ast
import re

from tests.kit.tree import ROOT, SOURCE, modules, syntax

GLOSSARY = ROOT / "docs" / "glossary.md"

ROW = re.compile(r"^\| (?P<term>[^|]+) \| \[(?P<file>[^\]]+)\]\((?P<link>[^)]+)\) \| (?P<sentence>[^|]+) \|$")


def rows(section: str) -> list[re.Match[str]]:
    """The rows of the table in a section. A line that begins like a row has to be one."""
    text = GLOSSARY.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    found = [match for line in lines if (match := ROW.match(line))]
    assert [match[0] for match in found] == lines
    return found


def classes() -> list[tuple[str, str]]:
    """The public classes of the gateway and the bus: name and module."""
    return [
        (node.name, module)
        for module in modules()
        if module.startswith(("server/gateway/", "server/bus/"))
        for node in syntax(module).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def test_every_public_class_of_the_gateway_and_the_bus_has_a_row_and_no_other_class_has_one() -> None:
    named = [(row["term"].strip("`"), row["file"]) for row in rows("Classes of the gateway and the bus")]
    assert set(classes()) - set(named) == set(), "without a row in docs/glossary.md"
    assert set(named) - set(classes()) == set(), "no such class: rename, move or delete its row"
    assert len(named) == len(set(named))


def test_each_term_is_there_once_and_its_file_exists() -> None:
    terms = rows("Terms")
    assert terms
    names = [row["term"].lower() for row in terms]
    assert len(names) == len(set(names))
    assert not [row["file"] for row in terms if not (SOURCE / row["file"]).is_file()]


def test_the_tables_are_sorted_and_their_links_lead_to_the_files() -> None:
    for section in ("Terms", "Classes of the gateway and the bus"):
        found = rows(section)
        order = [(row["term"].strip("`").lower(), row["file"]) for row in found]
        assert order == sorted(order)
        assert not [row["link"] for row in found if row["link"] != f"../src/artcafe/{row['file']}"]


def test_a_class_that_a_term_or_sentence_names_exists() -> None:
    """In backticks and in CamelCase: a class of this project, whatever its module."""
    known = {
        node.name
        for module in modules()
        for node in ast.walk(syntax(module))
        if isinstance(node, ast.ClassDef)
    }
    quoted = set(re.findall(r"`([A-Z][a-z]+[A-Za-z]*)`", GLOSSARY.read_text()))
    assert quoted - known == set()
