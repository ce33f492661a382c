"""Raises what is wrong with the arguments of a call of the builder at that call, with what to write instead."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from fakellm.base.errors import ScenarioError

P = ParamSpec("P")
T = TypeVar("T")

_CALLS = {
    "on": "conditions are passed by name: on(user='Hi')",
    "reply": "a rule has one reply to a request; for replies in order, write script('a', 'b')",
    "stream": "its fields are passed by name: .stream(split=3); for a text in pieces: .reply('ab').stream(split=1)",
    "timing": "its fields are passed by name: .timing(first=0.5)",
    "then": "the reply is set by a method of its own: .then().reply('b')",
    "fault": "write one fault: .fault(fakellm.faults.Reset()); a further one goes after .then()",
    "fail": "all but the status is passed by name: fail(429, times=2)",
    "call": "the name of the function comes first, its arguments by name: call('add', a=1)",
    "call_tool": "the name of the function comes first, its arguments by name: .call_tool('add', a=1)",
}
"""What to write, by the name of the method."""


def at_the_call(function: Callable[P, T]) -> Callable[P, T]:
    """Raises what is wrong with the arguments of a call as if the call raised it: without the lines in between. That
    is a ScenarioError, a ValueError, or the TypeError of arguments that are too many or too few; any other error has
    its traceback."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        __tracebackhide__ = True  # of pytest
        try:
            return function(*args, **kwargs)
        except (ScenarioError, ValueError) as error:
            raise error.with_traceback(None) from None
        except TypeError:
            misfit = _misfit(function, args, kwargs)
            if misfit is None:
                raise  # it comes from further down: an object of the caller's, or a mistake of ours
            raise misfit from None

    return called


def _misfit(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError | None:
    """The error to raise for arguments that are too many or too few; None if they are not."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        name = function.__name__
        return TypeError(f"{name}: {error}" + (f"; {_CALLS[name]}" if name in _CALLS else ""))
    return None
