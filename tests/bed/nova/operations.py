# SPDX-License-Identifier: Apache-2.0
"""The operations of the control port, by name.  Whoever has some adds them here; the port only looks them up."""

OPERATIONS = {}


def operation(function):
    """Offer ``function(bed, **arguments)`` under its own name."""
    OPERATIONS[function.__name__] = function
    return function
