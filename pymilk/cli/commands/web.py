"""``pymilk web``: streams in a browser."""

from __future__ import annotations

import webbrowser

import click

from ...errors import LibraryMissingError
from ...system.latch import Latch
from ..exits import clean_exit, told_to_end
from ..naming import complete_streams

__all__ = ["web"]


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_streams)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True,
              help="Address to listen on.")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535), default=8347, show_default=True,
              help="0: a free one.")
@click.option("--name", "hosts", metavar="HOST", multiple=True,
              help="A further name under which browsers reach the server.")
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser of this machine.")
@click.option("--allow-control", "control", is_flag=True,
              help="Let the page set keywords and parameters, and record into the working directory.")
@click.option("--token-file", metavar="FILE", type=click.Path(dir_okay=False),
              help="Keep the token in this file, made if it is not there: the address stays the same.")
@click.option("--cert", metavar="FILE", type=click.Path(dir_okay=False),
              help="File of a certificate, for https.")
@click.option("--key", metavar="FILE", type=click.Path(dir_okay=False), help="File of its key.")
def web(
    patterns: tuple[str, ...], host: str, port: int, hosts: tuple[str, ...], opens: bool, control: bool,
    token_file: str | None, cert: str | None, key: str | None,
) -> None:
    """Show streams in a browser: all of them, or those that match a PATTERN.

    The address that is printed has a token in it: who has the address can look. From another machine use
    ssh -L 8347:127.0.0.1:8347 HOST, and open the address there.

    Example: pymilk web 'wfs*'
    """
    with clean_exit():
        try:
            from ...web import Settings, WebServer
            from ...web.tokens import kept_token, new_token
        except ImportError as error:
            raise LibraryMissingError(
                "the page needs starlette, uvicorn and websockets: pip install starlette uvicorn websockets"
            ) from error
        token = new_token() if token_file is None else kept_token(token_file)
        settings = Settings(
            patterns=patterns, host=host, port=port, hosts=hosts, control=control, cert=cert, key=key,
            token=token,
        )
        end = Latch()
        with WebServer(settings) as server:
            with told_to_end(end):  # not around the end of the server, which may hang
                click.echo(server.address)
                if opens:
                    webbrowser.open(server.address)
                while server.running and not end.wait(0.2):
                    pass
            if not server.running:
                server.wait()  # raises what ended it
