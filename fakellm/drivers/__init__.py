"""Drivers: small programs that run real clients for the fuzzer, and that you can copy for a client of your own.

A driver is started once. Each line on its standard input is a case: it sends the request with its client, used as its
users would but without retries, and writes one line to its standard output with what the client returned or the error
that it raised. Fields that the client does not report are left out. The clients' packages are needed for nothing else:
they are the extras `clients` and `clients-openai2`, and `package.json` here for those that run on Node.
"""
