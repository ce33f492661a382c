"""The control routes of the scenario's files, which a server that was started to edit them shows and writes.

A file that somebody else has changed meanwhile is left as it is. Knows no rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from fakellm.base.errors import RequestError, ScenarioError
from fakellm.base.validation import shortened
from fakellm.base.words.count import count
from fakellm.base.words.near_miss import near_miss
from fakellm.engine.response import Work
from fakellm.recordings.whole_file import write_whole
from fakellm.server.application import HttpRequest, json_response

if TYPE_CHECKING:
    from fakellm.server.scenario_app import App


MOST_SHOWN = 2**20
"""Bytes of all files that are shown: their JSON is written on the event loop."""


class Edited(Protocol):
    """The files of a scenario."""

    @property
    def files(self) -> Sequence[Path]:
        """All that are read now."""


def shown_files(app: App, request: HttpRequest) -> Work:
    """The files with their texts; none if the server was not started to edit them. Refused if they are large."""
    edited = app.edited

    def run() -> list[dict[str, Any]]:
        files = [file for file in edited.files if file.is_file()] if edited else []
        size = sum(file.stat().st_size for file in files)
        if size > MOST_SHOWN:
            message = (
                f"The files of the scenario have {count(size, 'byte')}, and the server shows at most {MOST_SHOWN:,}: "
            )
            raise RequestError(413, f"{message}change them with an editor.", "files_too_large")
        return [_shown(file, file.read_bytes()) for file in files]

    return Work(run, lambda result: json_response({"edit": edited is not None, "files": _done(result, "read")}))


def _done(result: Any, what: str) -> Any:
    try:
        return result()
    except OSError as error:
        raise RequestError(500, f"A file of the scenario cannot be {what}: {error}.", "file_error") from None


def _shown(file: Path, data: bytes) -> dict[str, Any]:
    return {"name": str(file), "text": data.decode("utf-8", "replace"), "version": _version(data)}


def _version(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def write_file(app: App, request: HttpRequest) -> Work:
    """Writes one of the files as a whole, if it is as the writer has read it and the new text is a scenario."""
    edited, parameters = app.edited, request.target.parameters
    if edited is None:
        message = "The files of this server are not edited here: start it with `fakellm serve SCENARIO --edit`."
        raise RequestError(409, message, "not_editable")
    name, version = (_parameter(parameters, each) for each in ("name", "version"))
    names = {str(file): file for file in edited.files if file.is_file()}
    if name not in names:
        known = ", ".join(names) or "none"
        message = f"{shortened(name)} is not a file of the scenario; there are {known}{near_miss(name, tuple(names))}"
        raise RequestError(404, message, "no_such_file")

    def run() -> str:
        included = _included(request.body, name)
        with _WRITING:
            before = names[name].read_bytes()
            if _version(before) != version:
                message = f"{name} has changed since you read it. Read it again, and repeat your change in it."
                raise RequestError(409, message, "file_changed")
            _check_included(included, before, name)
            write_whole(names[name], request.body)
        return _version(request.body)

    return Work(run, lambda result: json_response({"name": name, "version": _done(result, "written")}))


_WRITING = Lock()
"""One file is written at a time."""


def _parameter(parameters: dict[str, str], name: str) -> str:
    if name not in parameters:
        message = f"PUT /_fakellm/file needs the query parameter {name!r}, as GET /_fakellm/file has it."
        raise RequestError(400, message, "missing_parameter", name)
    return parameters[name]


def _check_included(included: frozenset[str], before: bytes, name: str) -> None:
    """Raises RequestError if the text includes files that the text before it does not. Otherwise, whoever may write a
    scenario could read and write every file of this machine."""
    try:
        new = included - _included(before, name)
    except RequestError:  # the file has errors now
        new = included
    if new:
        message = f"{name}: include: {', '.join(sorted(map(shortened, new)))} can be added only in the file itself."
        raise RequestError(400, message, "invalid_scenario")


def _included(body: bytes, name: str) -> frozenset[str]:
    """The files that the text of a scenario includes. Raises RequestError if it is not a scenario."""
    from fakellm.scenarios.loader import check_text  # it reads YAML

    try:
        return frozenset(check_text(body.decode("utf-8"), name))
    except UnicodeDecodeError as error:
        raise RequestError(400, f"{name}: not UTF-8: {error}.", "invalid_scenario") from None
    except ScenarioError as error:
        raise RequestError(400, str(error), "invalid_scenario") from None
