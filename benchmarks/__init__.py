"""How fast fakellm is, beside other servers: `python benchmarks/run.py`. See README.md in this folder."""
