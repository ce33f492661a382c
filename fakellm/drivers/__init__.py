"""Real clients, each behind the same few lines: small programs that a fuzzer runs, and that you can copy for your own.

A driver is started once. Each line on its standard input is a case; it asks that server as its users would, with no
retries of its own, and writes one line on its standard output: what the client made of the reply, or the error it
raised. What a client has no notion of is left out. None of their packages is needed for anything else: they are the
extra `clients`, and `package.json` here for those that run on Node.
"""
