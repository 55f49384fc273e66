"""What can be asked for under ``/api``: operations, what they take and give; as routes, and as a document."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .._version import __version__
from ..errors import StreamArgumentError, StreamError
from ..system.faults import words_of_fault
from ..system.journal import warn

__all__ = ["Answer", "Operation", "document", "given_object", "json_answer", "routes_of"]

Answer = Callable[[Request], Awaitable[Response]]

#: Seconds in which a body has to come.
_BODY_SECONDS = 10.0

_JSON = "application/json"
_SAID = {"text/plain": {"schema": {"type": "string"}}}
_REFUSALS = {
    "400": "What was asked for is none, or cannot be done; the text says why.",
    "401": "The token is missing or wrong.",
    "403": "It is not permitted, or the server is not known by this name.",
}


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    Attributes
    ----------
    method, path : str
        The path is below ``/api``, with ``{name}`` for what varies.
    answer : callable
        Its docstring describes the operation.
    gives : str
        Type of the content.
    schema : dict
        JSON schema of what is given.
    body : dict or None
        JSON schema of what is taken.
    code : int
        Of a success.
    """

    method: str
    path: str
    answer: Answer
    gives: str = _JSON
    schema: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    code: int = 200


async def given_object(request: Request) -> dict[str, Any]:
    """Return the object of JSON that a request brings.

    Raises
    ------
    StreamArgumentError
        It brings something else.
    """
    try:
        given = json.loads(await asyncio.wait_for(request.body(), _BODY_SECONDS))
    except asyncio.TimeoutError:
        raise StreamArgumentError("the body did not come in time", argument="body", found=None) from None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise StreamArgumentError("the body is an object of JSON", argument="body", found=None)
    return given


def json_answer(content: Any, code: int = 200) -> Response:
    """Return an answer in JSON, in letters of ASCII: names may have bytes that are no text."""
    return Response(json.dumps(content, allow_nan=False), code, media_type=_JSON)


def _answering(answer: Answer) -> Answer:
    @functools.wraps(answer)
    async def safe(request: Request) -> Response:
        try:
            return await answer(request)
        except (StreamError, OSError, ImportError, ValueError, TypeError) as error:
            kinds = ((FileNotFoundError, 404), (PermissionError, 403), (Exception, 400))
            code = next(code for kind, code in kinds if isinstance(error, kind))
            return PlainTextResponse(str(error).encode(errors="backslashreplace"), code)
        except ClientDisconnect:  # or it brought more than the largest body
            return PlainTextResponse("the body is too large, or not complete", 413)
        except Exception as error:  # noqa: BLE001 (who asks is told what the server did not foresee)
            warn("the server could not answer %s: %r", request.url.path, error)
            return PlainTextResponse(words_of_fault(error).encode(errors="backslashreplace"), 500)

    return safe


def routes_of(operations: Iterable[Operation]) -> list[Route]:
    """Return the routes: what goes wrong is answered with a sentence."""
    return [Route(each.path, _answering(each.answer), methods=[each.method]) for each in operations]


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Describe operations as OpenAPI 3.1 has it."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(f"/api{each.path}", {})[each.method.lower()] = _described(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "pymilk web", "version": __version__},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _described(operation: Operation) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", operation.path)
    refusals = {**_REFUSALS, **({"404": "There is none of this name."} if names else {})}
    if operation.body is not None:
        refusals["413"] = "The body is too large."
    answers = {code: {"description": text, "content": _SAID} for code, text in refusals.items()}
    good = {"description": "Done.", "content": {operation.gives: {"schema": operation.schema}}}
    said: dict[str, Any] = {
        "operationId": operation.answer.__name__,
        "summary": (operation.answer.__doc__ or "").strip().splitlines()[0],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ],
        "responses": {str(operation.code): good, **answers},
    }
    if operation.body is not None:
        said["requestBody"] = {"required": True, "content": {_JSON: {"schema": operation.body}}}
    return said
