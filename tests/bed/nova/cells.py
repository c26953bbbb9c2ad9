# SPDX-License-Identifier: Apache-2.0
"""Cells whose database does not answer.  Nova asks all cells at once for a list and goes on without the silent ones."""

from nova import context, exception

from tests.bed.nova.faults import is_own_request


class Cells:
    """``silent``: UUIDs of the cells that do not answer."""

    def __init__(self):
        self.silent = set()
        ask = context.scatter_gather_cells

        def asked(ctx, cells, timeout, query, *args, **kwargs):
            if self.silent and not is_own_request():
                if query.__name__ == "query_wrapper":  # of sorted lists: it calls its first argument
                    args = (self._spoilt(args[0]), *args[1:])
                else:
                    query = self._spoilt(query)
            return ask(ctx, cells, timeout, query, *args, **kwargs)

        context.scatter_gather_cells = asked

    def _spoilt(self, query):
        def answer(ctx, *args, **kwargs):
            if ctx.cell_uuid in self.silent:
                raise exception.CellTimeout
            return query(ctx, *args, **kwargs)

        return answer
