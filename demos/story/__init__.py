"""The story generator: a network that learns a fable by heart, three words in, the next word out."""
