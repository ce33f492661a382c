"""Answers requests for an API's operations beside its replies: on the request alone, or on what the session has kept.

Owns which of them a thread does. Knows no rules but for the models that they name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fakellm.apis.openai import models
from fakellm.apis.operation import Keeper, Operation, OperationRequest, Store
from fakellm.base.json_text import JSON
from fakellm.engine.engine import Engine
from fakellm.engine.response import Response, Work, generated_response, respond, signed
from fakellm.engine.stored import StoreDraft
from fakellm.model.request import digest
from fakellm.server.application import Handler, HttpRequest
from fakellm.server.offload import in_thread
from fakellm.server.processes.elsewhere import MOST_BODY

if TYPE_CHECKING:
    from fakellm.server.scenario_app import App

_MANY_RULES = 200
"""So many models are listed on the event loop."""


def made(read: Callable[[bytes, int], tuple[JSON, JSON]]) -> Handler[App]:
    """The handler of a route whose replies depend only on the body and the seed."""

    def answered(app: App, request: HttpRequest) -> Response:
        value, body = read(request.body, app.seed)
        return replace(generated_response(value, app.seed, digest(body), request.target.api), valid=True)

    return answered


def operations(request: HttpRequest) -> Mapping[str, Handler[App]]:
    """The handlers of an API's operation, by method; none for any other URL."""
    target = request.target.route
    api = request.target.api
    found: dict[str, Handler[App]] = {}
    for method, operation in api.operations.get(target.route, {}).items():
        found[method] = partial(_operated, operation)
    if api.keeper:
        for method in api.keeper.operations.get(target.route, ()):
            found[method] = partial(_kept, api.keeper, method)
    return found


def _kept(keeper: Keeper, method: str, app: App, request: HttpRequest) -> Response | Work:
    """The response to an operation on what the session has kept. A thread reads a long body."""
    session = app.session(request.target.session)
    store, content = session.store.open(keeper), session.content

    def operated(store: Store) -> Response:
        return _response_to(request, app.seed, content, lambda call: keeper.operate(store, call, method))

    async def run() -> Response:
        while True:
            draft = StoreDraft(store.read())
            done = await in_thread(partial(operated, draft))
            response: Response = done()
            if draft.after is draft.before or store.write(draft.before, draft.after):
                return response

    return operated(store) if len(request.body) <= MOST_BODY else Work(run, lambda result: result())


def _operated(operation: Operation, app: App, request: HttpRequest) -> Response:
    return _response_to(request, app.seed, app.session(request.target.session).content, operation)


def _response_to(request: HttpRequest, seed: int, content: Engine, operation: Operation) -> Response:
    target, models = request.target, content.ruleset.models
    call = OperationRequest(target.route, target.url, request.body, request.headers, seed, models, content.answers)
    named = digest({"url": target.url, "body": request.body.decode("utf-8", "replace")})
    plan = signed(operation(call), seed, "generated", named, target.api)
    return respond(plan, rule="generated", valid=True)


def list_models(app: App, request: HttpRequest) -> Response | Work:
    """The list of models, in the shape of the client's API; a thread writes a long one of OpenAI's."""
    if own := request.target.api.operations.get(request.target.operation):
        return _operated(own["GET"], app, request)
    ruleset = app.session(request.target.session).content.ruleset

    def listed() -> Response:
        return generated_response(models.listed(ruleset.models), app.seed, "models", request.target.api)

    async def run() -> Response:
        return (await in_thread(listed))()  # type: ignore[no-any-return] # Result is of any type

    return Work(run, lambda result: result()) if len(ruleset.rules) > _MANY_RULES else listed()


def show_model(app: App, request: HttpRequest) -> Response:
    if own := request.target.api.operations.get(request.target.operation):
        return _operated(own["GET"], app, request)
    model = request.target.model or ""
    if not app.session(request.target.session).content.answers(model):
        raise models.unknown(model)
    return generated_response(models.described(model), app.seed, model, request.target.api)
