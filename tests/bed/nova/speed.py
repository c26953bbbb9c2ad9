# SPDX-License-Identifier: Apache-2.0
"""Shortcuts in and under Nova that change how fast the bed is, not what Nova does; ``--exact`` leaves them out."""

import sys
import threading
import time
import types

_arrived = threading.Condition()


def light_fixtures():
    """Make ``nova.tests.fixtures`` importable module by module: its package pulls in libvirt, os-brick and more."""
    import nova.tests

    package = types.ModuleType("nova.tests.fixtures")
    package.__path__ = [nova.tests.__path__[0] + "/fixtures"]
    sys.modules["nova.tests.fixtures"] = package


def wake_rpc_servers():
    """Deliver at once: the fake transport looks for messages every 50 ms, in every server of every service."""
    from oslo_messaging._drivers import base, impl_fake

    deliver = impl_fake.FakeExchange.deliver_message

    def deliver_message(self, *args, **kwargs):
        deliver(self, *args, **kwargs)
        with _arrived:
            _arrived.notify_all()

    def stop(self):
        self._stopped.set()
        with _arrived:
            _arrived.notify_all()

    def poll(self, timeout=None):
        deadline = None if timeout is None else time.monotonic() + timeout
        with _arrived:  # before it looks: what came between the look and the wait would be waited for in vain
            while not self._stopped.is_set():
                message = _next_message(self)
                if message is not None:
                    return message
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                _arrived.wait(left)
        return None

    impl_fake.FakeExchange.deliver_message = deliver_message
    impl_fake.FakeListener.stop = stop
    impl_fake.FakeListener.poll = base.batch_poll_helper(poll)


def _next_message(listener):
    from oslo_messaging._drivers import impl_fake

    for target in listener._targets:
        found = listener._exchange_manager.get_exchange(target.exchange).poll(target, listener._pool)
        if found[1] is not None:
            return impl_fake.FakeIncomingMessage(*found)
    return None


def skip_reshape_reads():
    """Nova reads every consumer's allocations at every claim, for a PCI reshape that cannot happen here: quadratic in
    the guests of a host."""
    from nova.scheduler.client import report

    report.SchedulerReportClient.get_allocations_for_provider_tree = lambda self, context, nodename: {}
