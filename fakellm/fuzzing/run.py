"""Runs a whole search: saved failures first, then the cases of every run, then what the seed draws. Owns that order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice

import msgspec

from fakellm.base.seed import Source
from fakellm.fuzzing import draws
from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_under_test import CannotRunError, ClientUnderTest
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.search import ClientFailure, FailureSearch, Outcome, Search
from fakellm.fuzzing.trial import Trial
from fakellm.scenarios.matching import When
from fakellm.scenarios.scenario import Rule, Scenario


def run(
    client: ClientUnderTest,
    search: Search,
    saved: Iterable[Rule] = (),
    progress: Callable[[int], None] = lambda cases: None,
) -> Outcome:
    """Tries the client on those `saved` rules that belong to the profile, then on the run's own cases.

    progress: called after each case with the number of cases so far. Raises CannotRunError if the client cannot be
    tried, and ValueError if the profile or an excluded step is unknown.
    """
    profile = profile_of(search.profile, search.exclude, search.api)
    known = list(saved)
    again = [rule for rule in known if profile.contains(rule)]
    outcome = Outcome(search, skipped=len(known) - len(again))
    with CaseServer(search.seed, search.deadline, search.api) as server:
        try:
            failures = FailureSearch(Trial(client, server, search.api), outcome, progress)
            for rule in chain(again, islice(_cases(search), search.examples)):
                if not failures.judge(rule):
                    break
            failures.finish()
        except KeyboardInterrupt:
            outcome.interrupted = True
        finally:
            client.close()
    return outcome


def _cases(search: Search) -> Iterator[Rule]:
    """The cases of every run; after them, without end, what the seed draws, alternating with other known cases: first
    the other values of each step, then the rest."""
    profile = profile_of(search.profile, search.exclude, search.api)
    yield from cases.first(profile)
    values, others, picks = list(cases.values(profile)), list(cases.again(profile)), Source(search.seed, "known")
    for number in count():
        source = Source(search.seed, "case", number)
        yield rule_of(draws.scenario(source, search.profile, search.exclude, search.api))
        if known := values or others:
            yield known.pop(picks.below(len(known)))


def replay(client: ClientUnderTest, search: Search, rules: Iterable[Rule]) -> Outcome:
    """Tries the client on these rules alone, whatever they match, without shrinking any. Each reply under a rule's
    `then` is a case of its own, and a fault applies from the first attempt on.

    Raises CannotRunError as `run` does, if there is no rule, and if a rule's content depends on the request.
    """
    rules = [single for number, rule in enumerate(rules) for single in _replies(number, rule)]
    if not rules:
        raise CannotRunError("there is no rule to replay")
    outcome = Outcome(search)
    with CaseServer(search.seed, search.deadline, search.api) as server:
        try:
            trial = Trial(client, server, search.api)
            outcome.compared = trial.reported
            for rule in rules:
                case = trial.judge(rule)
                outcome.cases += 1
                outcome.failures += [ClientFailure(case)] if case.verdict.failed else []
        except KeyboardInterrupt:
            outcome.interrupted = True
        finally:
            client.close()
    return outcome


def _replies(number: int, rule: Rule) -> Iterator[Rule]:
    """Each reply of the rule as the answer to any request. Raises CannotRunError if its content is not known
    beforehand."""
    for place, step in enumerate(rule.steps):
        key = f".script[{place}]" if rule.script else f".then[{place - 1}]" if place else ""
        at = f"rules[{number}]{key}"
        choices = step.reply.choices or (step.reply,)
        keys = {
            "template": any(choice.template for choice in choices),
            "generate": step.reply.generate,
            "patch": step.patch,
        }
        for key, value in keys.items():
            if value:
                raise CannotRunError(f"{at} has {key}: what a client should read from it is not known beforehand")
        fault = msgspec.structs.replace(step.fault, after=0) if step.fault else None
        yield Rule(step.reply, When(), step.stream, step.timing, fault, dialect=rule.dialect)


def rule_of(scenario: Scenario) -> Rule:
    """The one rule of a scenario, with its dialect."""
    rule = scenario.rules[0]
    return rule if rule.dialect else msgspec.structs.replace(rule, dialect=scenario.dialect)
