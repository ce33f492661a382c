"""The page in a browser: its files, and the routes that serve them."""
