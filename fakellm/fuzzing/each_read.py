"""Finds out whether clients on one HTTP stack can see cuts: by one that wrongly decodes each read alone.

If that client reads cut characters correctly, no read ended inside one, so no other client on the stack sees cuts.
"""

from __future__ import annotations

from fakellm.apis.route import CHAT
from fakellm.apis.variation import Variation
from fakellm.fuzzing.case_server import CaseServer
from fakellm.fuzzing.clients.client_under_test import ClientUnderTest
from fakellm.fuzzing.draws.base_answers import TEXT
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.trial import Trial
from fakellm.scenarios.reply import reply_of
from fakellm.scenarios.scenario import Rule
from fakellm.wire.http.transfer import Transfer

_TRIES = 3
"""How often to try: on a busy machine, a cut in a hundred is not visible to a client that usually sees cuts."""
_CUT = Variation(split="whole", transfer=Transfer(cut="inside_characters", separate_reads=3))


def fails_on_cuts(client: ClientUnderTest, search: Search) -> bool:
    """Whether the client that decodes each read alone fails on a cut. Raises CannotRunError if it cannot be tried."""
    dialect = "openai" if search.api is CHAT else None
    rule = Rule(reply=reply_of(TEXT), stream=_CUT, dialect=dialect)
    with CaseServer(search.seed, search.deadline, search.api) as server:
        try:
            trial = Trial(client, server, search.api)
            return any(trial.judge(rule).verdict.failed for _ in range(_TRIES))
        finally:
            client.close()
