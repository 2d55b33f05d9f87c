"""A language model of words: a grammar of our own, whose entropy is known exactly."""
