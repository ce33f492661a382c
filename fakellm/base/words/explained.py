"""Explains a wrong keyword of a constructor: which are allowed, and the nearest. msgspec names the wrong one alone.

Values that users build in Python have this metaclass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakellm.base.words.near_miss import near_miss

if TYPE_CHECKING:  # of another metaclass, a type checker would not know the arguments
    from msgspec import StructMeta as Explaining
else:
    from msgspec import StructMeta

    class Explaining(StructMeta):
        """The class of structs whose constructor raises a TypeError that explains."""

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True  # of pytest
            try:
                return super().__call__(*args, **kwargs)
            except TypeError:
                allowed = self.__struct_fields__
                wrong = [key for key in kwargs if key not in allowed]
                if not wrong:
                    raise
            known = f"allowed: {', '.join(allowed)}{near_miss(wrong[0], allowed)}"
            raise TypeError(f"{self.__name__}(…) has no argument {wrong[0]!r}; {known}")


__all__ = ["Explaining"]
