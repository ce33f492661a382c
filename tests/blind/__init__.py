"""Clients that each have one bug, written from the standards alone, without a look at what the fuzzer draws.

`http.py`, `sse.py`, `chat.py`, `messages.py` and `responses.py` are one careful client of three APIs, in steps of a few
lines. Each module of `wrong/` replaces steps; `tests/test_blind_clients.py` has the fuzzer find them.
"""
