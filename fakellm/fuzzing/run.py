"""Runs a whole search: saved failures first, then the cases of every run, then what the seed draws. Owns that order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import chain

import msgspec

from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_under_test import CannotRunError, ClientUnderTest
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.running.case_order import CasePart, numbered
from fakellm.fuzzing.running.jobs import JobEndedError, Jobs
from fakellm.fuzzing.running.judging import SAVED, judged
from fakellm.fuzzing.search import ClientFailure, FailureSearch, Outcome, Search
from fakellm.fuzzing.trial import Trial
from fakellm.scenarios.matching import When
from fakellm.scenarios.scenario import Rule


def run(
    client: ClientUnderTest,
    search: Search,
    saved: Iterable[Rule] = (),
    progress: Callable[[Outcome, bool], None] = lambda outcome, shrinks: None,
    is_over: Callable[[], bool] = lambda: False,
    jobs: Jobs | None = None,
) -> Outcome:
    """Tries the client on those `saved` rules that belong to the profile, then on the run's own cases.

    progress: called after each case with the outcome so far; while a failure shrinks, after each try and with True.
    is_over: asked after each case and each try whether time is over. jobs: processes that try the cases, if this one
    is not to; `client` then repeats and shrinks what fails. Raises CannotRunError if the client cannot be tried, and
    ValueError if the profile or an excluded step is unknown.
    """
    profile = profile_of(search.profile, search.exclude, search.api)
    known = list(saved)
    again = [rule for rule in known if profile.contains(rule)]
    outcome = Outcome(search, skipped=len(known) - len(again))
    with ExitStack() as stack:
        server = stack.enter_context(CaseServer(search.seed, search.deadline, search.api))
        stack.callback(client.close)
        trial = cache(lambda: Trial(client, server, search.api, search.each_read))
        try:
            if jobs is None:
                outcome.compared = trial().reported
                number, shards = search.shard
                cases = chain(((SAVED, rule) for rule in again), numbered(search, CasePart(number - 1, shards)))
                judgments = judged(trial(), cases)
            else:
                outcome.compared, judgments = stack.enter_context(jobs.started(search, again))
            failures = FailureSearch(trial, outcome, progress, is_over)
            for each in judgments:
                if not failures.add(each):
                    break
            failures.finish()
        except KeyboardInterrupt:
            outcome.interrupted = True
        except JobEndedError as error:
            outcome.problem = str(error)
    return outcome


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
            trial = Trial(client, server, search.api, search.each_read)
            outcome.compared = trial.reported
            for each in judged(trial, enumerate(rules)):
                outcome.count(each)
                outcome.failures += [ClientFailure(each.failed, number=each.number)] if each.failed else []
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
