"""A whole run: what failed before, what every run has to try, then what the seed draws. Owns the order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice

import msgspec

from fakellm.base.seed import Source
from fakellm.fuzzing import draws
from fakellm.fuzzing.clients.client_process import Asked, CannotRunError
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.search import Failure, Hunt, Outcome, Search
from fakellm.fuzzing.test_server import Session
from fakellm.fuzzing.trial import Trial
from fakellm.scenarios.matching import When
from fakellm.scenarios.scenario import Rule, Scenario


def run(
    client: Asked, search: Search, saved: Iterable[Rule] = (), tell: Callable[[int], None] = lambda cases: None
) -> Outcome:
    """Tries the client on those `saved` rules that are of the profile, and then on its own; `tell` is told how many
    cases are done.

    Raises CannotRunError where it cannot be tried, ValueError where the profile or a step to leave out is unknown.
    """
    what = profile_of(search.profile, search.exclude)
    outcome = Outcome(search)
    with Session(search.seed, search.deadline) as session:
        try:
            hunt = Hunt(Trial(client, session), outcome, tell)
            for rule in chain(filter(what.holds, saved), islice(_cases(search), search.examples)):
                if not hunt.case(rule):
                    break
            hunt.end()
        except KeyboardInterrupt:
            outcome.interrupted = True
        finally:
            client.close()
    return outcome


def _cases(search: Search) -> Iterator[Rule]:
    """What every run has to try; and then without end what the seed draws, in turn with one of what else is known."""
    profile = profile_of(search.profile, search.exclude)
    yield from cases.first(profile)
    known, picks = list(cases.again(profile)), Source(search.seed, "known")
    for number in count():
        yield rule_of(draws.scenario(Source(search.seed, "case", number), search.profile, search.exclude))
        if known:
            yield known.pop(picks.below(len(known)))


def replay(client: Asked, search: Search, rules: Iterable[Rule]) -> Outcome:
    """Tries the client on these rules alone, whatever they wait for, and makes none of them smaller.

    Raises CannotRunError as `run` does, and where a rule leaves what is said to the request.
    """
    rules = [_fixed(number, rule) for number, rule in enumerate(rules)]
    outcome = Outcome(search)
    with Session(search.seed, search.deadline) as session:
        try:
            trial = Trial(client, session)
            outcome.compared = trial.reported
            for rule in rules:
                tried = trial.judge(rule)
                outcome.cases += 1
                outcome.failures += [Failure(tried)] if tried.verdict.failed else []
        except KeyboardInterrupt:
            outcome.interrupted = True
        finally:
            client.close()
    return outcome


def _fixed(number: int, rule: Rule) -> Rule:
    """The rule as an answer to anything. Raises CannotRunError where it is not known beforehand what it says."""
    for what, given in (("template", rule.reply.template), ("generate", rule.reply.generate), ("patch", rule.patch)):
        if given:
            raise CannotRunError(f"rules[{number}] has {what}: what a client should read of it is not known beforehand")
    return msgspec.structs.replace(rule, when=When(), then=())


def rule_of(scenario: Scenario) -> Rule:
    """The one rule of a scenario, in its dialect."""
    rule = scenario.rules[0]
    return rule if rule.dialect else msgspec.structs.replace(rule, dialect=scenario.dialect)
