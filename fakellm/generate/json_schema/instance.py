"""Makes a value of a JSON Schema: the entry point. `grow` draws the value and `check` checks it."""

from __future__ import annotations

import json
import re
from typing import Any

from fakellm.base.errors import FakellmError
from fakellm.base.seed import Source
from fakellm.generate.json_schema.merge import ExhaustedError, NoValueError


class UnsatisfiableSchemaError(FakellmError):
    """Why there is no value: the schema is not valid, allows no value, or none was found."""


def instance(schema: dict[str, Any], source: Source) -> Any:
    """A value that the schema allows; the same source gives the same value.

    Raises UnsatisfiableSchemaError with the reason if there is none. Every value is checked with `jsonschema`.
    """
    from fakellm.generate.json_schema import limits
    from fakellm.generate.json_schema.check import Checker
    from fakellm.generate.json_schema.grow import (  # imports jsonschema: 0.3 s that only requests with a schema pay
        Grower,
        Place,
    )

    try:
        limits.check(schema)
        grower = Grower(Checker(schema), source)
        if grower.depths.endless(schema):
            raise UnsatisfiableSchemaError("every value of it is endless: what it requires refers back to it")
        value = grower.grow(schema, Place())
        json.dumps(value, allow_nan=False)
    except NoValueError as error:
        raise UnsatisfiableSchemaError(str(error)) from error
    except ExhaustedError as error:
        raise UnsatisfiableSchemaError(str(error)) from None
    except RecursionError:
        raise UnsatisfiableSchemaError("it is nested too deeply, or its references go in a circle") from None
    except re.error as error:
        raise UnsatisfiableSchemaError(
            f"a regular expression in it cannot be compiled: {error.pattern!r}: {error}"
        ) from None
    except (OverflowError, ValueError) as error:
        raise UnsatisfiableSchemaError(f"a number in it cannot be used: {error}") from None
    return value


def check(schema: dict[str, Any]) -> None:
    """Raises UnsatisfiableSchemaError if this is not a valid JSON Schema."""
    from fakellm.generate.json_schema.check import Checker

    try:
        Checker(schema)
    except NoValueError as error:
        raise UnsatisfiableSchemaError(str(error)) from error
    except RecursionError:
        raise UnsatisfiableSchemaError("it is nested too deeply") from None
