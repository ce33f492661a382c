"""Decides by their names which headers, query parameters and fields of bodies hold secrets. It reads no values.

The words are from the lists of recorders and scrubbers, and from the APIs of model providers and gateways:
`DEFAULT_DENYLIST` of Sentry's SDK for Python (https://github.com/getsentry/sentry-python, `scrubber.py`), the list of
https://github.com/AbregaInc/har-cleaner, the keyword detector of https://github.com/Yelp/detect-secrets, the parameters
of signed URLs of AWS, Azure and Google Cloud, RFC 6749 and RFC 7522 (OAuth and SAML), and the headers of Azure OpenAI,
Anthropic, Cloudflare, Google, Helicone, Honeycomb and Portkey.

A name is read as its words: `X-Api-Key`, `x_api_key` and `xApiKey` are the same. The last word counts, because a name
ends with what the value is: `x-token-limit` is a limit.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ADDED = re.compile(r"[0-9]+|v|value|values|b|base|encoded|encrypted|enc|hash|hashed|bin|raw|old|new|current|primary")
"""Words that may follow the one that counts: `authorization-bin`, `api_key_2`, `PasswordHash`."""

_ALWAYS = frozenset(
    """
    apikey authorization bearer cookie cookie2 credential credentials jwt passcode passphrase passwd password secret
    """.split()
)
"""Words whose value is a secret under every name that ends with them."""

_HEADER = _ALWAYS | frozenset(
    """
    account accountid assertion auth authentication csrf key nonce organisation organisationid organization
    organizationid otp pass pat project projectid pwd session sessionid sid sig signature tenant tenantid ticket token
    workspace workspaceid xsrf
    """.split()
)
"""Words that end the names of headers with secrets, or with what identifies a customer."""

_PARAMETER = _ALWAYS | frozenset(
    """
    accesskeyid assertion auth authuser code codeverifier csrf key otp pass pat pwd samlrequest samlresponse session
    sessionid sid sig signature ticket token xsrf
    """.split()
)

_KEYS = r"(?:access|account|admin|anon|api|auth|client|encryption|function|functions|license|master|private|secret|"
_KEYS += r"server|service|session|shared|signing|ssh|storage|subscription|virtual)keys?"
_TOKENS = r"(?:access|api|app|auth|authenticity|authorization|azuread|bearer|bot|client|csrf|device|ephemeral|github|"
_TOKENS += r"gitlab|hf|hub|id|identity|jwt|oauth|personal|private|push|refresh|registration|sas|security|service|"
_TOKENS += r"session|slack|sts|user|vault|xsrf)tokens?"
_JOINED = re.compile(rf".*(?:{_KEYS}|{_TOKENS}|sessionid|sessid|accesskeyid|connectionstring)", re.DOTALL)
"""Names whose words belong together. In bodies, `key` and `token` do not make a secret by themselves: there are
`prompt_cache_key`, the tokens of `logprobs`, `next_page_token`."""

_LONGEST = 200
"""Characters of a name that are read."""

_OTHER_HEADERS = frozenset(["x-honeycomb-team", "x-client-data", "x-goog-user-project", "x-portkey-config"])
_OPEN_HEADERS = re.compile(r"(access-control|content-security|x-ratelimit|ratelimit)-.*", re.IGNORECASE)
"""Names that end as those of secrets do, but are not: `Access-Control-Allow-Credentials`."""


@lru_cache(1024)
def secret_header(name: str) -> bool:
    """Whether a header of this name holds a secret, or identifies an account or an organization."""
    if _OPEN_HEADERS.fullmatch(name):
        return False
    return name.lower() in _OTHER_HEADERS or _ends_in(name, _HEADER)


@lru_cache(1024)
def secret_parameter(name: str) -> bool:
    """Whether a query parameter of this name holds a secret."""
    return _ends_in(name, _PARAMETER)


@lru_cache(1024)
def secret_field(name: str) -> bool:
    """Whether a field of this name, in JSON or a form, holds a secret."""
    return _ends_in(name, _ALWAYS)


def _ends_in(name: str, last: frozenset[str]) -> bool:
    words = [word.lower() for word in _WORD.findall(name[:_LONGEST])]
    while len(words) > 1 and _ADDED.fullmatch(words[-1]):
        words.pop()
    if not words:
        return False
    joined = "".join(words)
    ends = {words[-1], "".join(words[-2:]), joined}
    return bool(ends & last) or words[-1].endswith(tuple(_ALWAYS)) or _JOINED.fullmatch(joined) is not None
