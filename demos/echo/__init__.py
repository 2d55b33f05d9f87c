"""Echo: a recurrent network reads random bits and must repeat them a few steps later."""
