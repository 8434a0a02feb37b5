"""`artcafe operator`: the table of what is only for who runs the platform."""

from pathlib import Path

from tests.kit.command_line import CommandLine


def test_its_commands_are_listed_and_each_explains_itself(tmp_path: Path) -> None:
    run = CommandLine(tmp_path)
    listed = run("operator", "--help").stdout

    for words in (["tenants"], ["show"], ["rotate"], ["switch"], ["forget"], ["tenants", "set"]):
        assert words[0] in listed
        result = run("operator", *words, "--help")
        assert result.exit_code == 0
        assert "Examples:" in result.stdout
