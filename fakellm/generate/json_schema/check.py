"""Checks values against a JSON Schema with the `jsonschema` library.

It owns drafts and references, and makes no values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import jsonschema
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from fakellm.generate.json_schema.merge import NoValueError, Schema
from fakellm.generate.json_schema.regex import expression

T = TypeVar("T")

_DRAFTS = (jsonschema.Draft202012Validator, jsonschema.Draft7Validator, jsonschema.Draft4Validator)
_BESIDE = {"then", "else", "additionalItems", "default", "examples"}
_WITH_CONTAINS = {"minContains", "maxContains"}
"""In the drafts from 2019-09 on; in an older one, anything may have these names."""
_NO_FORMATS = jsonschema.FormatChecker(())  # its "regex" is Python's; a bad expression is found when it is used
# The formats that jsonschema checks with the standard library alone: other installed packages must not change a reply.
_FORMATS = ("date", "email", "ipv4", "ipv6", "regex", "uuid")


class Checker:
    """Checks values against one schema, in the draft that it names or else the newest in which it is valid.

    Raises NoValueError, with the place in the schema, if it is not valid in any of them.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        named = isinstance(schema.get("$schema"), str)
        drafts = (jsonschema.validators.validator_for(schema, default=_DRAFTS[0]),) if named else _DRAFTS
        self.draft = next((each for each in drafts if _malformed(each, schema) is None), None)
        if self.draft is None:
            raise NoValueError(f"it is not a valid JSON Schema: {_malformed(drafts[0], schema)}")
        counted = _WITH_CONTAINS if "dependentRequired" in self.draft.VALIDATORS else set[str]()
        self.keywords = {*self.draft.VALIDATORS, *_BESIDE, *counted}
        uri = self.draft.META_SCHEMA.get("$schema", "")
        root = specification_with(uri).create_resource(schema)
        registry: Registry[Any] = Registry()  # empty: no reference is ever fetched
        self.resolver = registry.resolver_with_root(root)
        kind = extend(self.draft, {"pattern": _pattern})  # type: ignore[no-untyped-call] # types-jsonschema does not annotate it
        formats = jsonschema.FormatChecker(_FORMATS)
        self.validator: Validator = kind(schema, registry=registry, format_checker=formats)
        self._targets: dict[str, Schema] = {}

    def accepts(self, schema: Schema, value: Any) -> bool:
        """Whether a part of the schema, or a schema made of its parts, allows the value."""
        if isinstance(schema, bool):
            return schema
        return self._use(schema, lambda validator: validator.is_valid(value))

    def objection(self, schema: Schema, value: Any) -> str:
        """Why the schema does not allow the value, in the library's words."""
        if isinstance(schema, bool):
            return "nothing is allowed"
        return self._use(schema, lambda validator: str(best_match(validator.iter_errors(value)).message)[:300])

    def resolve(self, reference: Any) -> Schema:
        """The schema that a `$ref` refers to. Raises NoValueError if there is none."""
        if not isinstance(reference, str):
            raise NoValueError(f"'$ref' must be text, not {reference!r}"[:300])
        if reference not in self._targets:
            try:
                target = self.resolver.lookup(reference).contents
            except (Unresolvable, ValueError, TypeError, AttributeError, KeyError) as error:
                message = (
                    f"'$ref': {reference!r} refers to nothing; only references into the schema itself are followed"
                )
                raise NoValueError(message) from error
            if isinstance(target, bool) or not isinstance(target, dict):
                wrong = None if isinstance(target, bool) else "it is neither an object nor a boolean"
            else:
                wrong = _malformed(self.draft, target)
            if wrong:
                raise NoValueError(
                    f"'$ref': {reference!r} refers to something that is not a valid JSON Schema: {wrong}"
                )
            self._targets[reference] = target
        return self._targets[reference]

    def _use(self, schema: dict[str, Any], check: Callable[[Validator], T]) -> T:
        try:
            return check(self.validator.evolve(schema=schema))
        except (re.error, RecursionError):
            raise
        except Exception as error:  # the library raises all kinds of exceptions for bad references
            raise NoValueError(f"it cannot be checked: {type(error).__name__}: {error}") from error


def _malformed(draft: Any, schema: Any) -> str | None:
    try:
        draft.check_schema(schema, format_checker=_NO_FORMATS)
    except SchemaError as error:
        return f"{error.json_path}: {error.message}"[:300]
    return None


def _pattern(validator: Validator, pattern: str, instance: Any, schema: Schema) -> Any:
    if isinstance(instance, str) and not expression(pattern).search(instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")
