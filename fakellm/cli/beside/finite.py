"""Checks the numbers of options."""

from __future__ import annotations

from math import isfinite

import click


def finite(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """The value. Raises BadParameter if it is infinite or not a number, which is in every range of click's, since no
    comparison holds for it."""
    if not isfinite(value):
        raise click.BadParameter(f"expected a finite number, got {value}")
    return value
