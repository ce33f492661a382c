"""``python -m fakellm``."""

from fakellm.cli import main

main(prog_name="fakellm")
