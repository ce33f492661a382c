"""Applications over HTTP: routes and sessions, and the aiohttp server that performs their plans."""
