"""The routes besides `/v1/chat/completions`, one file each, and what all routes share: paths, keys, headers."""
