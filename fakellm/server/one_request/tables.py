"""All control routes of requests to a server with a scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakellm.server.application import Routes
from fakellm.server.one_request.routes import REQUESTS
from fakellm.server.one_request.rule_routes import RULES
from fakellm.server.one_request.trial_routes import TRIALS

if TYPE_CHECKING:
    from fakellm.server.scenario_app import App

OF_REQUESTS: Routes[App] = {**REQUESTS, **RULES, **TRIALS}
