"""What everything else builds on: errors, the seed, the tokenizer, JSON text and paths, validation, YAML nodes."""

from fakellm.base.installation import check

check()
