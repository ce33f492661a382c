"""Operations that need nothing that is kept."""

from collections.abc import Mapping

from fakellm.apis.protocol import Operation

OPERATIONS: Mapping[str, Mapping[str, Operation]] = {}
