"""The server: a socket, a thread or a process that answers on it, and its end."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
import time
import urllib.parse
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .._core import checked_timeout
from ..arguments import shown
from ..errors import StreamArgumentError, StreamError, StreamStorageError
from ..system.blocks import Block
from ..system.causes import cause_of
from ..system.ending import close_at_exit
from ..system.extras import optional_library
from ..system.faults import fault_of
from ..system.forks import tell_after_fork
from ..system.signals import unbroken
from ..system.threads import join_thread, start_thread
from .app import make_app
from .report import WebReport
from .settings import Settings

__all__ = ["WebServer"]

#: Bytes of a message from the page.
_MESSAGE_NBYTES = 65536
#: Seconds that open connections get when the server ends.
_ENDING_SECONDS = 2


class _Protocol(H11Protocol):
    """Connections that ask for nothing are closed, however slowly they do it."""

    opening = 10.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.opening, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before or self.transport.is_closing():
            self._deadline.cancel()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._deadline.cancel()  # a view has a deadline of its own
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._deadline.cancel()
        if not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.opening, self._too_slow)

    def _too_slow(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class WebServer(Block):
    """Show streams in a browser.

    A context manager: it answers from its beginning to its end. Or `start`, `stop` and `wait`; it ends with
    the interpreter. `report` tells what it has done.

    Parameters
    ----------
    settings : Settings, optional
    folder : str, optional
        For recordings that are started from the page. Default: the working directory.

    Attributes
    ----------
    error : StreamError or None
        What ended it, if it was not `stop`.

    Raises
    ------
    StreamStorageError
        From `start`: the address or the port cannot be used, or the certificate, or there is no thread.
    LibraryMissingError
        From `start`: the library websockets is not installed.
    """

    _single = "its thread and its port belong to this process; make another one"

    def __init__(self, settings: Settings | None = None, folder: str | None = None) -> None:
        self.settings = settings or Settings()
        self._folder = folder
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._port = self.settings.port
        self._began = self._ended = 0.0
        self.error: StreamError | None = None

    @property
    def running(self) -> bool:
        """Whether it answers."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def port(self) -> int:
        """The port that it listens on; once it has ended, the one that it had."""
        return self._port

    @property
    def address(self) -> str:
        """What to open in the browser: with the token behind the #, which no browser sends or logs."""
        host = self.settings.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        token = urllib.parse.quote(self.settings.token, safe="")
        return f"{self.settings.scheme}://{shown}:{self.port}/#token={token}"

    @property
    def report(self) -> WebReport:
        """What it has done so far, also once it has ended."""
        running = self.running
        state = self._server.server_state if self._server else None
        return WebReport(
            address=self.address.partition("/#")[0],
            running=running,
            connections=len(state.connections) if state and running else 0,
            requests=state.total_requests if state else 0,
            duration=(time.monotonic() if running else self._ended) - self._began,
        )

    def start(self) -> WebServer:
        """Answer from now on, in a thread of its own.

        Raises
        ------
        StreamArgumentError
            It was started before.
        StreamError
            See the class.
        """
        if self._thread is not None:
            raise StreamArgumentError("the server was started already", argument="start", found=None)
        optional_library("websockets", "web", "pages in a browser")
        protocol = type("_Opening", (_Protocol,), {"opening": self.settings.opening})
        config = uvicorn.Config(
            make_app(self.settings, self._is_ending, self._folder),
            http=protocol, ws="websockets-sansio", ws_per_message_deflate=False, ws_max_size=_MESSAGE_NBYTES,
            limit_concurrency=self.settings.connections, timeout_keep_alive=int(self.settings.opening) or 1,
            timeout_graceful_shutdown=_ENDING_SECONDS, access_log=False, log_config=None,
            server_header=False, date_header=False,
            ssl_certfile=self.settings.cert, ssl_keyfile=self.settings.key,
        )  # fmt: skip
        try:
            if self.settings.cert is not None:
                # A password of the key would be asked for on the terminal: there is none.
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                    self.settings.cert, self.settings.key, password=b""
                )
            config.load()
        except (OSError, ValueError) as error:
            why = (
                cause_of(error)
                if isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
                else "the key is enciphered, or of another certificate, or one of the files is none in PEM"
            )
            raise StreamStorageError(
                f"the certificate {self.settings.cert} and its key {self.settings.key} cannot be used: {why}",
                path=self.settings.cert,
            ) from error
        self._socket = self._listen()
        self._port = int(self._socket.getsockname()[1])
        self._server = uvicorn.Server(config)
        self._began = self._ended = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="pymilk web", daemon=True)
        try:
            start_thread(self._thread)
            tell_after_fork(self)
            close_at_exit(self)
        except BaseException:
            unbroken(self.stop)
            self._thread = None
            raise
        return self

    def _listen(self) -> socket.socket:
        host, port = self.settings.host, self.settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise StreamStorageError(
                f"cannot listen on {host}, port {port}: {cause_of(error)}", path=f"{host}:{port}"
            ) from error
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(128)
        except (TypeError, UnicodeError) as error:  # as Python raises them for names with odd letters
            listener.close()
            raise StreamArgumentError(
                f"host is an address of this machine, not {shown(host)}", argument="host", found=host
            ) from error
        except OSError as error:
            listener.close()
            elsewhere = error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror)
            choose = (
                "an address of this machine (on the command line: --host)"
                if elsewhere
                else "another port, or 0 for a free one (on the command line: --port)"
            )
            raise StreamStorageError(
                f"cannot listen on {host}, port {port}: {cause_of(error)}; choose {choose}",
                path=f"{host}:{port}",
            ) from error
        return listener

    def _is_ending(self) -> bool:
        return self._server is not None and self._server.should_exit

    def _run(self) -> None:
        assert self._server is not None
        assert self._socket is not None
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except BaseException as error:  # noqa: BLE001 (for `wait`)
            self.error = fault_of(error, "the server")
        finally:
            self._ended = time.monotonic()
            self._socket.close()  # nobody answers there any more

    def _after_fork(self) -> None:
        # Nobody answers here: who connects must get to the parent, or find nobody once that has stopped.
        if self._socket is not None:
            self._socket.close()

    def stop(self) -> None:
        """End: views are closed, and recordings that were started from the page."""
        self._tell_to_end()
        self._join(None)
        if self._socket is not None:
            self._socket.close()

    close = stop

    def _tell_to_end(self) -> None:
        if self._server is not None:
            self._server.should_exit = True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; returns whether it has.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Raises
        ------
        StreamError
            What ended it, if it was not `stop`.
        """
        if self._join(checked_timeout(timeout)) and self.error is not None:
            raise self.error
        return not self.running

    def _join(self, timeout: float | None) -> bool:
        if self._thread is not None:
            join_thread(self._thread, timeout)
        return not self.running

    def __exit__(self, *exc: object) -> None:
        try:
            self.stop()
        finally:
            unbroken(self._tell_to_end)  # if an interrupt came first; no disk that hangs is waited for then
