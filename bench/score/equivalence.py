"""Whether two numbers are the same within a margin that was fixed beforehand.

That a difference is not found shows nothing: noise hides it. Two one-sided tests at 5 % ask the
other way round (D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987) 657–680;
D. Lakens, Social Psychological and Personality Science 8 (2017) 355–362): equal is what lies in the
margin with its whole 90 % interval. At a true difference of the margin or more that happens in at
most 5 %.
"""

from __future__ import annotations

from typing import Literal

from scipy import stats

from bench.score.intervals import Estimate

LEVEL = 0.90
"""Of the interval: each of the two one-sided tests has half of the rest."""

Place = Literal["inside", "outside", "open"]


def place(difference: Estimate, margin: float, slack: float = 0.0) -> Place:
    """Where the 90 % interval of a difference lies: in ±margin, wholly outside, or neither.

    Parameters
    ----------
    margin : float
        Above 0.
    slack : float
        What widens the interval on either side besides noise, such as the rounding of a print.
    """
    low, high = difference.interval(LEVEL)
    low, high = low - slack, high + slack
    if -margin < low and high < margin:
        return "inside"
    return "outside" if low > margin or high < -margin else "open"


def smallest_margin(sd: float, slack: float = 0.0) -> float:
    """The margin below which one run of standard deviation ``sd`` decides nothing.

    However well one side is known, the other is a single run: 1.645 sd is what its interval
    reaches to either side.
    """
    return float(stats.norm.ppf((1 + LEVEL) / 2)) * sd + slack
