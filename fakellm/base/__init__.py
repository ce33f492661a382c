"""What every other package builds on: errors, the seed, the tokenizer, JSON text and paths, validation, YAML."""

from fakellm.base.installation import check

check()
