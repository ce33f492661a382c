"""The engine: from ruleset, seed, request and attempt to a response, as a pure function with a cache.

Knows no session, no sockets and no clock: the caller counts the attempts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from math import inf
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fakellm.apis.protocol import InexpressibleError
from fakellm.apis.route import CHAT, Route
from fakellm.base.errors import ReplyError, RequestError
from fakellm.base.json_text import dumps, writable
from fakellm.base.validation import FieldError
from fakellm.engine import cost
from fakellm.engine.complete import GENERATED, generated
from fakellm.engine.memo import FORGETFUL, Cache, Memo
from fakellm.engine.render import render
from fakellm.engine.resolve import computed, filled, shown
from fakellm.engine.response import Response, Work, refusal, respond, signed
from fakellm.engine.ruleset import Attempt, Ruleset, endless
from fakellm.model.request import Request
from fakellm.scenarios.reply import Computed, Reply
from fakellm.scenarios.scenario import Rule, Scenario

FIRST = Attempt()

Vary = Callable[[Rule, Request, Route, int], Rule]
"""The rule that answers in place of this one, whose reply is that for the request; the seed is the server's."""


class LongWorkError(Exception):
    """This work would hold up the event loop: it must be done elsewhere. `imports`: only because the library for JSON
    Schemas must be imported first, which takes a third of a second."""

    def __init__(self, imports: bool = False) -> None:
        super().__init__()
        self.imports = imports


class Match(Struct, frozen=True):
    """The rule that matches a request (None: no rule). `count`: the key, within its session, of the count of attempts
    that it adds to."""

    rule: int | None
    digest: str
    count: tuple[Hashable, ...]
    stream: bool
    counts: bool
    """Whether the number of the attempt matters."""


class Matched(Struct, frozen=True):
    """A valid request, with the rule that matches it. `request` is None until it is needed again."""

    match: Match
    body: bytes
    route: Route
    headers: tuple[tuple[str, str], ...]
    url: str
    key: Hashable
    request: Request | None

    def parsed(self) -> Request:
        """The request."""
        return self.request or self.route.parse(self.body, dict(self.headers), self.url)


class Engine:
    """The responses of a ruleset. `strict`: a request that no rule matches is refused instead of answered with
    generated text. `cache`: may be shared with other engines. `vary`: changes how each reply is sent."""

    def __init__(
        self, ruleset: Ruleset, seed: int, strict: bool, cache: Cache | None = None, vary: Vary | None = None
    ) -> None:
        self.ruleset = ruleset
        self.seed = seed
        self.strict = strict
        self._vary = vary
        self._cache = cache or Cache(0)
        scenario = ruleset.scenario or Scenario(rules=())
        self.limits = scenario.limits
        """What the session must keep within."""
        self._generated = Rule(name="generated", dialect=scenario.dialect, timing=scenario.timing, reply=GENERATED)
        self._token = object()  # identifies this engine in the keys of the cache without keeping it alive

    def varied(self, vary: Vary | None) -> Engine:
        """The engine with its replies sent in another way."""
        return self if vary is None else Engine(self.ruleset, self.seed, self.strict, self._cache, vary)

    def health(self) -> dict[str, Any]:
        """The facts for `GET /_fakellm/health`: the seed, whether it is strict, the scenario's name."""
        scenario = self.ruleset.scenario
        return {"seed": self.seed, "strict": self.strict, "scenario": scenario and scenario.name}

    def answers(self, model: str) -> bool:
        """Whether a request for this model could be answered: by a rule, or with generated text."""
        return not self.strict or self.ruleset.answers(model)

    def match(
        self,
        body: bytes,
        route: Route = CHAT,
        headers: Mapping[str, str] | None = None,
        most: float = inf,
        url: str = "",
        continued: Callable[[Request], Request] | None = None,
    ) -> Matched:
        """The rule that matches a request. Raises RequestError for an invalid request, and LongWorkError if finding the
        rule may take more than `most` milliseconds. `url`: see `Api.parse`. `continued`: makes the whole request of one
        that continues another."""
        read = self.ruleset.headers(headers or {})
        key: Hashable = (self._token, route, blake2b(body, digest_size=16).digest(), url, read)
        match, request = None if continued else self._cache.find(key), None
        if match is None:
            request = route.parse(body, dict(read), url)
            length = len(body)
            if continued:
                request = self._continued(request, continued, route, most)
                key, length = _continued_key(key, request), sys.maxsize
            if most < inf and self.ruleset.slow(request, length, most):
                raise LongWorkError
            match = self._match(request)
            self._cache.keep(key, match, 1_000 + _key_size(url, read))
        return Matched(match, body, route, read, url, key, request)

    def matched(
        self,
        match: Match,
        body: bytes,
        route: Route,
        headers: Mapping[str, str],
        url: str,
        continued: Callable[[Request], Request] | None,
    ) -> Matched:
        """A request with what `match` has found for it in another process."""
        read = self.ruleset.headers(headers)
        key: Hashable = (self._token, route, blake2b(body, digest_size=16).digest(), url, read)
        request = route.parse(body, dict(read), url)
        if continued:
            with suppress(RequestError):  # the rule names what is not kept
                request = continued(request)
            key = _continued_key(key, request)
        return Matched(match, body, route, read, url, key, request)

    def _continued(
        self, request: Request, continued: Callable[[Request], Request], route: Route, most: float
    ) -> Request:
        """The whole request of one that continues another. If that is not kept, the request as it is, provided that
        the rule it matches names what it continues. Raises RequestError, and LongWorkError as `match`."""
        try:
            return continued(request)
        except RequestError:
            if most < inf and self.ruleset.slow(request, sys.maxsize, most):
                raise LongWorkError from None
            rule = self.ruleset.match(request)
            conditions = {} if rule is None else self.ruleset.rules[rule].when.body
            if route.keeper and route.keeper.refers(dumps(conditions).encode("utf-8", "surrogatepass")):
                return request
            raise

    def _match(self, request: Request) -> Match:
        rule, stream, digest = self.ruleset.match(request), request.stream, request.digest
        if rule is None:
            return Match(None, digest, (), stream, False)
        script = self.ruleset.script(rule)
        return Match(rule, digest, self.ruleset.count(rule, digest), stream, script.counts(stream))

    def keep(self, matched: Matched, number: int, response: Response) -> None:
        """Remembers a response of `respond` that was made elsewhere."""
        self._remember(self._place(matched, number)[2], matched, response)

    def _remember(self, key: Hashable, matched: Matched, response: Response) -> None:
        self._cache.keep(key, response, response.size + _key_size(matched.url, matched.headers))

    def _place(self, matched: Matched, number: int) -> tuple[int | None, Attempt | None, Hashable]:
        """The number of the rule that matches, the attempt, and the key of its response in the cache."""
        rule = matched.match.rule
        script = None if rule is None else self.ruleset.script(rule)
        attempt: Attempt | None = FIRST
        if script and (match := matched.match).counts:
            attempt = script.attempt(number, match.stream, self.seed, match.digest)
        return rule, attempt, (matched.key, attempt)

    def answering(self, matched: Matched, number: int, most: float = inf) -> Rule | None:
        """The rule with its reply to the attempt with this number; None if the request is refused in any case. Raises
        LongWorkError if rendering it may take more than `most` milliseconds."""
        place, attempt, _ = self._place(matched, number)
        if attempt is None or (place is None and self.strict):
            return None
        request = matched.parsed()
        if place is None:
            rule = replace(self._generated, reply=generated(request, matched.route))
        else:
            rule = self.ruleset.script(place).at(attempt)
        if most < inf and not isinstance(rule.reply, Computed):
            _check_cost(None if place is None else rule, request, most)
        return rule

    def respond(self, matched: Matched, number: int = 1, most: float = inf) -> Response | Work:
        """The response to the attempt with this number, from 1: a pure function of ruleset, seed and request. If the
        reply is a function, the work of calling it. Raises LongWorkError if rendering it may take more than `most`
        milliseconds."""
        rule, attempt, key = self._place(matched, number)
        found: Response | None = self._cache.find(key)
        if found is not None:
            return found
        request = matched.parsed()
        if attempt is None:
            return self._refused(self.ruleset.exhausted(rule or 0, number, matched.match.stream), matched)
        if rule is None:
            if most < inf and not self.strict:
                _check_cost(None, request, most)
            response = self._unmatched(request, matched)
        else:
            one = self.ruleset.script(rule).at(attempt)
            if isinstance(one.reply, Computed):
                return self._computed(one, one.reply.function, request, matched, attempt)
            if most < inf:
                _check_cost(one, request, most)
            response = self._scripted(one, one.reply, request, matched, attempt)
        self._remember(key, matched, response)
        return response

    def _unmatched(self, request: Request, matched: Matched) -> Response:
        explanation = writable(self.ruleset.explain(request))
        if self.strict:
            error = RequestError(404, f"No rule matches this request. {explanation}", "no_matching_rule")
            return self._refused(error, matched)
        plain, reply, rule = not self.ruleset.rules, generated(request, matched.route), self._generated
        if reply is not rule.reply:
            rule = replace(rule, reply=reply)
        response = self._rendered(rule, request, matched, Memo(self._cache, self._token))
        return replace(response, matched=plain, explanation=response.explanation if plain else explanation)

    def _computed(
        self, rule: Rule, function: Callable[[Request], Any], request: Request, matched: Matched, attempt: Attempt
    ) -> Work:
        def then(result: Callable[[], Any]) -> Response:
            try:
                reply = computed(_returned(result))
            except ReplyError as error:
                return self._failed(rule, error, matched)
            return self._scripted(rule, reply, request, matched, attempt)

        return Work(lambda: function(request), then)

    def _scripted(self, rule: Rule, reply: Reply, request: Request, matched: Matched, attempt: Attempt) -> Response:
        place = matched.match.rule or 0
        try:
            resolved = filled(reply, request, attempt.number)
            if self.strict and (calls := self.ruleset.repeated(place, resolved, request)):
                return self._refused(endless(rule, calls), matched)
            fixed = resolved is rule.reply and not resolved.generate
            memo = Memo(self._cache, (self._token, matched.match.rule, attempt), fixed)
            response = self._rendered(rule if fixed else replace(rule, reply=resolved), request, matched, memo)
        except (ReplyError, FieldError, InexpressibleError) as error:
            return self._failed(rule, error, matched)
        unused = self.ruleset.script(place).without_effect(attempt, matched.route)
        if rule.fault and response.rule and not self._vary:
            idle = rule.fault.idle(matched.match.stream, response.frames, lambda: response.body)
            if idle:
                explanation = f"The fault broke nothing: {idle.reason}."
                return replace(response, without_effect=(*unused, idle.key), explanation=explanation)
        return replace(response, without_effect=unused) if unused else response

    def _rendered(self, rule: Rule, request: Request, matched: Matched, memo: Memo) -> Response:
        if self._vary:
            rule, memo = self._vary(rule, request, matched.route, self.seed), FORGETFUL
        try:
            cost.check(rule, request)
            plan = render(rule, request, self.seed, matched.route, memo)
        except RequestError as error:  # a generated reply cannot honour the request
            return replace(refusal(error, self.seed, matched.body, matched.route, matched.url), valid=True)
        plan = signed(plan, self.seed, rule.name, request.digest, matched.route, rule.dialect)
        fault = rule.fault_in(matched.match.stream)
        dialect = rule.dialect if rule.dialect in matched.route.dialects else None
        return respond(plan, rule=rule.name, fault=fault.kind if fault else None, valid=True, dialect=dialect)

    def _failed(self, rule: Rule, error: Exception, matched: Matched) -> Response:
        message = f"The rule {rule.name!r} cannot answer this request: {error}."
        response = self._refused(RequestError(400, message, "reply_failed"), matched)
        # What a function raises is raised at the end of the test, and need not fail it a second time.
        return replace(response, rule=rule.name, matched=error.__cause__ is not None)

    def _refused(self, error: RequestError, matched: Matched) -> Response:
        """The refusal of a valid request."""
        return replace(refusal(error, self.seed, matched.body, matched.route, matched.url), matched=False, valid=True)


def _key_size(url: str, headers: Sequence[tuple[str, str]]) -> int:
    """Roughly how many bytes a key of the cache takes that has these."""
    return len(url) + sum(len(name) + len(value) for name, value in headers)


def _continued_key(key: Hashable, request: Request) -> Hashable:
    """The key of a request in the cache that continues another; `key`: without what it continues."""
    return key, blake2b(repr(request.messages).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _check_cost(rule: Rule | None, request: Request, most: float) -> None:
    if cost.milliseconds(rule, request) > most:
        raise LongWorkError
    if (rule is None or rule.reply.generate) and "jsonschema" not in sys.modules and cost.schemas(request):
        raise LongWorkError(imports=True)


def _returned(result: Callable[[], Any]) -> Any:
    try:
        return result()
    except BaseException as error:  # whatever a function may raise: that of `pytest.fail` is not an Exception
        raise ReplyError(f"its function raised {shown(error)}") from error
