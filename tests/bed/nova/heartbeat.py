# SPDX-License-Identifier: Apache-2.0
"""Which services report to Nova's database, and after how many seconds of silence one counts as down.

Nova knows whole seconds only, reads the limit once, and waits 5 s before the first report: too slow for tests.
"""

from nova.servicegroup import api
from nova.servicegroup.drivers import db


class Heartbeats:
    def __init__(self, first_report_s, down_time_s):
        api.INITIAL_REPORTING_DELAY = first_report_s
        self.down_time_s = down_time_s
        self._silent = set()
        self._conductor = True
        self._install()

    def _install(self):
        real = db.DbDriver._report_state

        def report(driver, service):
            if not self.is_silent(service.host):
                real(driver, service)

        db.DbDriver._report_state = report
        db.DbDriver.service_down_time = property(lambda _: self.down_time_s, lambda _driver, _value: None)

    def is_silent(self, host):
        # nova-computes report through the conductor in a real cloud; here they write to the database by themselves
        return not self._conductor or host in self._silent

    def freeze(self, hosts):
        self._silent.update(hosts)

    def thaw(self, hosts):
        self._silent.difference_update(hosts)

    def conductor(self, up):
        self._conductor = up
