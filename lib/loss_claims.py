"""Claims that many experiments make, of the losses that a run's networks ended with."""

import numpy as np

from lib.lessons import Claim, Finding, Results


def below(text: str, limit: float, least: int) -> Claim:
    """At least so many networks end below a loss."""

    def check(results: Results) -> Finding:
        count = int((results.finals < limit).sum())
        return Finding(f"{count} of {len(results.finals)} networks end below {limit:g} nats.", count >= least)

    return Claim(text, check)


def above(text: str, limit: float, least: int) -> Claim:
    """At least so many networks end above a loss, those that diverged among them."""

    def check(results: Results) -> Finding:
        count = int((results.finals > limit).sum())
        return Finding(f"{count} of {len(results.finals)} networks end above {limit:g} nats.", count >= least)

    return Claim(text, check)


def median_between(text: str, low: float, high: float) -> Claim:
    """The median of the networks' losses lies between two."""

    def check(results: Results) -> Finding:
        median = float(np.median(results.finals))
        return Finding(f"The median is {median:.3g} nats.", low <= median < high)

    return Claim(text, check)
