"""The findings about a client: the rule that was broken, what happened, and where the rule is explained."""

from __future__ import annotations

from msgspec import Struct

from fakellm.base.words.count import count

RULES = {
    "retried-refusal": "A request that the API refuses for what it contains must not be sent again as it is",
    "retried-quota": "A request that is refused because the account has no quota left must not be sent again",
    "ignored-x-should-retry": "The header x-should-retry decides whether a request is sent again",
    "gave-up": "A request that failed for a moment is to be sent again",
    "too-early": "A client waits at least as long as Retry-After requires",
    "no-backoff": "A client waits before it sends a request again",
    "no-jitter": "Waits differ by chance, so that clients do not come back all at once",
    "too-often": "The number of retries has a limit",
    "broken-as-whole": "A reply that broke off is not an answer",
    "unknown-call": "The result of a tool belongs to a call that the model has made",
    "unanswered-call": "Each call of a tool gets its result",
    "dropped-reasoning": "The reasoning before a call of a tool is sent back with its result",
    "left-open": "A client reads a reply to its end, or closes the connection",
}
"""What each rule asks, by its name."""


class ClientFinding(Struct, frozen=True):
    """One thing that a client did wrong.

    rule: the name of the rule. message: what happened. requests: their numbers in the journal.
    """

    rule: str
    message: str
    requests: tuple[int, ...]

    @property
    def asks(self) -> str:
        """What the rule asks."""
        return RULES[self.rule]

    @property
    def docs(self) -> str:
        """Where the rule is explained, with its sources."""
        return f"docs/reference/verdict.md#{self.rule}"

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}. {self.asks}: {self.docs}"


class ClientVerdict(Struct, frozen=True):
    """The findings about a client in the order of its requests, of which there were so many to models."""

    requests: int
    findings: tuple[ClientFinding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is no finding."""
        return not self.findings

    def check(self) -> None:
        """Raises AssertionError if there are findings."""
        __tracebackhide__ = True  # of pytest
        if self.findings:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        heading = f"{count(len(self.findings), 'finding', 'no')} in {count(self.requests, 'request', 'no')}"
        return "\n".join([f"{heading}:", *(f"- {each}" for each in self.findings)]) if self.findings else heading
