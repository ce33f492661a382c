"""Words in messages: numbers of things, the word that was meant, the arguments that are allowed."""
