"""A language model of words: a grammar of our own, whose exact floor is known."""
