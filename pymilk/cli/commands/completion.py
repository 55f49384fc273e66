"""``pymilk completion``: the script that makes a shell complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, streams and parameters in SHELL.

    bash: eval "$(pymilk completion bash)" in ~/.bashrc; zsh: likewise in ~/.zshrc; fish: pymilk completion
    fish > ~/.config/fish/completions/pymilk.fish

    Example: pymilk completion bash
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "pymilk", "_PYMILK_COMPLETE").source())
