# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.bed.openstack prepare``: the databases that every cloud begins with, made once."""

from __future__ import annotations

import argparse

from tests.bed.openstack.seed import prepare

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bed.openstack", description=__doc__)
    parser.add_argument("verb", choices=["prepare"])
    parser.parse_args()
    prepare()
