"""A view of a stream in a notebook: the page's own modules, and frames by the channel of the notebook."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import Stream
from ..arguments import bad_argument, shown
from ..errors import StreamArgumentError, StreamStorageError
from ..system.ending import close_at_exit
from ..system.extras import optional_library
from ..system.faults import words_of_fault
from ..system.journal import warn
from ..system.latch import Latch
from ..system.signals import unbroken
from ..system.single import Single
from ..system.threads import do_all, join_thread, start_thread
from .listing import Listing
from .settings import Settings
from .sources import Sources, path_of

if TYPE_CHECKING:
    from .viewer import View

__all__ = ["LiveView", "live"]

_FOLDER = Path(__file__).parent / "static"

#: What the address of the page can say of a view.
_SETTINGS = (
    "act", "at", "auto", "colour", "contrast", "dark", "draw", "element", "fs", "high", "how", "limits",
    "low", "map", "mean", "north", "part", "regions", "sat", "second", "send", "slice", "stat", "stretch",
    "tool", "turn", "zoom",
)  # fmt: skip

#: Of the page alone.
_NOT_HERE = ("address.js", "list.js", "main.js", "notebook.js")

#: Seconds that the thread gets to end.
_ENDING_SECONDS = 5.0


class _Socket:
    """What a view sees of the page: messages come by `put`, and go by `send`."""

    def __init__(self, send: Callable[[dict[str, Any], list[bytes]], None]) -> None:
        self._send = send
        self._coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def put(self, message: dict[str, Any]) -> None:
        self._coming.put_nowait(message)

    async def receive(self) -> dict[str, Any]:
        return await self._coming.get()

    async def send_bytes(self, data: bytes) -> None:
        self._send({}, [data])

    async def send_text(self, data: str) -> None:
        self._send({"text": data}, [])

    async def close(self, code: int, reason: str) -> None:
        self._send({"end": reason}, [])


class LiveView(Single):
    """A stream in a notebook, as the page shows it: made by `live`, and shown as the last line of a cell.

    Ends with the output of its cell, with `close`, and with the kernel.

    Attributes
    ----------
    stream : str
        Its name.
    widget : anywidget.AnyWidget
        What the notebook shows.
    """

    _single = "its thread belongs to this process; make another one with pymilk.live"

    def __init__(self, path: str, settings: dict[str, str]) -> None:
        anywidget = optional_library("anywidget", "notebook", "views in notebooks")
        traitlets = optional_library("traitlets", "notebook", "views in notebooks")
        optional_library("starlette", "notebook", "views in notebooks")
        self.stream = Path(path).name.partition(".im.shm")[0]
        self._path = path
        self._settings = Settings()
        self._views: dict[str, tuple[_Socket, asyncio.Task[None]]] = {}
        kind = type("LiveWidget", (anywidget.AnyWidget,), {
            "_esm": (_FOLDER / "notebook.js").read_text(),
            "_modules": traitlets.Dict().tag(sync=True), "_start": traitlets.Dict().tag(sync=True),
        })  # fmt: skip
        modules = {file.name: file.read_text() for file in sorted(_FOLDER.glob("*.js"))}
        for name in _NOT_HERE:
            del modules[name]
        modules["style.css"] = (_FOLDER / "style.css").read_text()
        self.widget: Any = kind(_modules=modules, _start={"stream": self.stream, "settings": settings})
        self.widget.on_msg(self._take)
        self._sources = Sources(lambda name: self._path)
        self._begun = Latch()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pymilk live", daemon=True)
        try:
            start_thread(self._thread)
            self._begun.wait()
            if self._fault is not None:
                raise StreamStorageError(
                    f"the view of {self.stream!r} cannot begin: {words_of_fault(self._fault)}", path=path
                ) from self._fault
            close_at_exit(self)
        except BaseException:
            unbroken(self._undo)
            raise

    def __repr__(self) -> str:
        return f"<LiveView of {self.stream!r}, {f'{self.views} shown' if self.running else 'closed'}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return what notebooks show."""
        return self.widget._repr_mimebundle_(**options)

    @property
    def running(self) -> bool:
        """Whether it sends frames."""
        return self._thread.is_alive()

    @property
    def views(self) -> int:
        """Number of places where it is shown."""
        return len(self._views)

    def _undo(self) -> None:
        """End a view whose beginning failed, or was interrupted."""
        if self._thread.ident is None:
            join_thread(self._thread)  # it may begin yet
        if self._thread.ident is None:
            self.widget.close()
        else:
            self._begun.wait(_ENDING_SECONDS)
            self.close()

    def close(self) -> None:
        """End, everywhere that it is shown."""
        self._call(lambda: self._end.set())
        if threading.current_thread() is not self._thread:
            join_thread(self._thread, _ENDING_SECONDS)
        self.widget.close()

    def stop(self) -> None:
        """Do the same as `close`."""
        self.close()

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, *exc: object) -> None:
        unbroken(self.close)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve_all())
        except BaseException as error:  # noqa: BLE001 (raised where the view is made, or told by the log)
            self._fault = error
            warn("the view of %r ended: %r", self.stream, error)
        finally:
            do_all(self._sources.close)
            self._begun.set()

    async def _serve_all(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        await self._end.wait()  # what still runs then is cancelled

    def _call(self, act: Callable[[], object]) -> None:
        """Let the thread do something; nothing if it has ended."""
        with contextlib.suppress(RuntimeError, AttributeError):  # it has no loop any more, or had none
            self._loop.call_soon_threadsafe(act)

    def _take(self, widget: Any, message: Any, buffers: Any) -> None:
        """Take a message of the notebook, in whatever thread it comes."""
        if isinstance(message, dict) and isinstance(message.get("id"), str):
            self._call(lambda: self._act(message))

    def _act(self, message: dict[str, Any]) -> None:
        number = message["id"]
        if message.get("open") and number not in self._views and len(self._views) < self._settings.viewers:
            self._open(number)
        elif number in self._views:
            socket, _ = self._views[number]
            if message.get("leave"):
                socket.put({"type": "websocket.disconnect", "code": 1000})
            else:
                socket.put({"type": "websocket.receive", "text": message.get("say")})

    def _open(self, number: str) -> None:
        from .viewer import View  # needs starlette

        def send(said: dict[str, Any], buffers: list[bytes]) -> None:
            self.widget.send({"id": number, **said}, buffers)

        socket = _Socket(send)
        view = View(socket, self._settings, self._sources, Listing(()))
        self._views[number] = socket, self._loop.create_task(self._serve(view, number))

    async def _serve(self, view: View, number: str) -> None:
        from starlette.websockets import WebSocketDisconnect

        try:
            await view.serve(self.stream)
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 (nobody looks at this task)
            warn("a view of %r ended: %r", self.stream, error)
            with contextlib.suppress(Exception):
                self.widget.send({"id": number, "end": f"it ended by a fault: {words_of_fault(error)}"})
        finally:
            self._views.pop(number, None)


def live(stream: Any, **settings: object) -> LiveView:
    """Show a stream in a notebook, live: the view of ``pymilk web``, without a server.

    Parameters
    ----------
    stream : str, SHM or Stream
        Name of a stream, or one that is open; it is attached once more, read-only.
    **settings
        As in the address of the page: ``stretch="log"``, ``colour="heat"``, ``limits="zscale"``, ``low``,
        ``high``, ``tool="statistics"``, ``turn`` (0 to 7), ``how="max"``, ``send="JPEG 8 bit"``.

    Returns
    -------
    LiveView
        As the last line of a cell, it is shown.

    Raises
    ------
    LibraryMissingError
        The extra ``notebook`` is not installed: anywidget, starlette.
    StreamArgumentError
        There is no setting of that name, or its value is neither a text nor a number.
    StreamError
        As `pymilk.Stream.attach`.

    Notes
    -----
    The newest frame is sent when the notebook has painted the last one; the writer and other readers notice
    nothing. While a cell runs the kernel hears nothing of the notebook, so that the view stands still.
    """
    path = stream.path if isinstance(stream, Stream) else getattr(stream, "FILEPATH", None)
    if path is None:
        if not isinstance(stream, str) or stream != os.path.basename(stream) or not stream:
            raise StreamArgumentError(
                f"stream is the name of one, or an open SHM, not {shown(stream, 60)}",
                argument="stream", found=stream,
            )  # fmt: skip
        path = path_of(stream)
    for name in settings:
        if name not in _SETTINGS:
            raise StreamArgumentError(
                f"a view has no setting {name!r}; it has {', '.join(_SETTINGS)}",
                argument=name, found=settings[name],
            )  # fmt: skip
    Stream.attach(path, writable=False, prefault=False).close()  # says what is wrong with it, in the cell
    return LiveView(str(path), {name: _text_of(name, value) for name, value in settings.items()})


def _text_of(name: str, value: object) -> str:
    """Return a setting as the page takes it."""
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (str, int, float, np.number)):
        with contextlib.suppress(ValueError):  # an integer of more than 4300 digits
            return str(value)
    raise bad_argument(name, value, "a text or a number, as in the address of the page")
