# SPDX-License-Identifier: Apache-2.0
"""What Nova's conductor and computes lose in the middle of an evacuation: Neutron, Keystone, the scheduler, a reply.

Each loss is the exception that a real multi-process cloud raises there, at the place where it is raised.
"""

import oslo_messaging
from keystoneauth1 import exceptions as keystone
from neutronclient.common import exceptions as neutron
from nova.compute import manager, resource_tracker
from nova.network import neutron as network
from nova.network import security_group_api
from nova.scheduler.client import query

from tests.bed.nova.operations import operation

LOST = {}  # what is lost -> how many calls more, -1: all


def _lost(what):
    left = LOST.get(what, 0)
    if left > 0:
        LOST[what] = left - 1
    return bool(left)


def install():
    """Wrap the calls that can be lost."""
    _wrap(network.API, "get_requested_resource_for_instance", _ask_neutron)
    _wrap(query.SchedulerQueryClient, "select_destinations", _ask_scheduler)
    _wrap(manager.ComputeManager, "_update_instance_after_spawn", _spawned)
    _wrap(resource_tracker.ResourceTracker, "finish_evacuation", _finished)
    _wrap(security_group_api, "_get_ports_from_server_list", _list_ports)


def _wrap(where, name, before):
    real = getattr(where, name)

    def call(*args, **kwargs):
        before()
        return real(*args, **kwargs)

    call.__name__ = name
    setattr(where, name, call)


def _ask_neutron():
    if _lost("neutron"):
        raise neutron.ConnectionFailed(reason="test bed: Neutron is lost")
    if _lost("keystone"):
        raise keystone.ConnectFailure("test bed: Keystone is lost")


def _ask_scheduler():
    if _lost("scheduler"):
        raise oslo_messaging.MessagingTimeout("test bed: the scheduler is lost")


def _spawned():
    """The guest runs; what a destination saves of it next goes over the conductor."""
    if _lost("save"):
        raise oslo_messaging.MessagingTimeout("test bed: the conductor does not answer")


def _finished():
    """The last two things that a destination saves: the server's host, and that the row is done."""
    if _lost("finish"):
        raise oslo_messaging.MessagingTimeout("test bed: the conductor does not answer")


def _list_ports():
    if _lost("ports"):
        raise neutron.ConnectionFailed(reason="test bed: Neutron is lost")


@operation
def lose(bed, what, times=-1):
    """Lose neutron, keystone, scheduler, save (the one after a spawn), finish or ports (of a list of servers), so many
    times; 0: no more."""
    LOST[what] = times
