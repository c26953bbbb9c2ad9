# SPDX-License-Identifier: Apache-2.0
"""Neutron binds every port to every host, as a tap device of that host; no agent has to run for it."""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class Tap(api.MechanismDriver):
    def initialize(self):
        pass

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        segment = context.segments_to_bind[0][api.ID]
        details = {portbindings.CAP_PORT_FILTER: False}
        context.set_binding(segment, portbindings.VIF_TYPE_TAP, details, status=constants.PORT_STATUS_ACTIVE)
