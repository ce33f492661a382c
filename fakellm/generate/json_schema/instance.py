"""A JSON Schema to a value of it. Owns the way in; `grow` makes the value and `judge` checks it."""

from __future__ import annotations

import json
import re
from typing import Any

from fakellm.base.errors import FakellmError
from fakellm.base.seed import Source
from fakellm.generate.json_schema.merge import ExhaustedError, NoValueError


class UnmetSchemaError(FakellmError):
    """A schema that is none, that no value meets, or for which none was found: why."""


def instance(schema: dict[str, Any], source: Source) -> Any:
    """A value that the schema allows; the same source gives the same value.

    Raises UnmetSchemaError, which says why there is none. Every value was checked with `jsonschema`.
    """
    from fakellm.generate.json_schema.check import Judge
    from fakellm.generate.json_schema.grow import (  # with jsonschema: 0.3 s that only those who send a schema pay
        Grower,
        Place,
    )

    try:
        grower = Grower(Judge(schema), source)
        if grower.heights.endless(schema):
            raise UnmetSchemaError("its least value never ends: what it requires refers back to it")
        value = grower.grow(schema, Place())
        json.dumps(value, allow_nan=False)
    except NoValueError as error:
        raise UnmetSchemaError(str(error)) from error
    except ExhaustedError:
        raise UnmetSchemaError(
            "no value of it was found in reasonable time; it may be too large, or not allow any"
        ) from None
    except RecursionError:
        raise UnmetSchemaError("it is nested too deeply, or its references go in a circle") from None
    except re.error as error:
        raise UnmetSchemaError(f"a regular expression in it cannot be read: {error.pattern!r}: {error}") from None
    except (OverflowError, ValueError) as error:
        raise UnmetSchemaError(f"a number in it cannot be used: {error}") from None
    return value


def check(schema: dict[str, Any]) -> None:
    """Raises UnmetSchemaError for what is no JSON Schema."""
    from fakellm.generate.json_schema.check import Judge

    try:
        Judge(schema)
    except NoValueError as error:
        raise UnmetSchemaError(str(error)) from error
    except RecursionError:
        raise UnmetSchemaError("it is nested too deeply") from None
