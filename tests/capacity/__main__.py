# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.capacity [FIRST [LAST]]``: the number against every choice of Nova's, for that many random clouds."""

from __future__ import annotations

import sys
from collections import Counter

from muster.planning.tolerance import tolerance
from tests.capacity.clouds import random_cloud, truth


def main(first: int, last: int) -> int:
    least: Counter[int] = Counter()
    most: Counter[int] = Counter()
    for seed in range(first, last):
        cloud = random_cloud(seed)
        found, (at_least, at_most) = tolerance(cloud, list(cloud.left)), truth(cloud)
        least[found.at_least - at_least] += 1
        most[found.at_most - at_most] += 1
        if (found.at_least, found.at_most) != (at_least, at_most):
            print(f"cloud {seed}: {found.at_least} to {found.at_most}, in truth {at_least} to {at_most}")
    print(f"{last - first} clouds; at least: {dict(least)}; at most: {dict(most)} (0: the truth)")
    return int(any(over > 0 for over in least) or any(under < 0 for under in most))


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    sys.exit(main(*(given if len(given) == 2 else (0, given[0] if given else 1000))))
