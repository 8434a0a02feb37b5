"""`artcafe completion`: prints the shell's completion script."""

import click
from click.shell_completion import get_completion_class

from artcafe.cli.text import json_option, print_json


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(context: click.Context, shell: str, *, as_json: bool) -> None:
    """Print the script that completes commands and options in your shell.

    \b
    To have it in every new shell:
      bash   artcafe completion bash > ~/.local/share/bash-completion/completions/artcafe
      zsh    put  eval "$(artcafe completion zsh)"  into ~/.zshrc, after compinit
      fish   artcafe completion fish > ~/.config/fish/completions/artcafe.fish

    \b
    Examples:
      eval "$(artcafe completion bash)"
    """
    root = context.find_root()
    maker = get_completion_class(shell)
    assert maker is not None, "these are the shells that click knows"
    script = maker(root.command, {}, root.info_name or "artcafe", "_ARTCAFE_COMPLETE").source()
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
