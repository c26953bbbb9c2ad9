# SPDX-License-Identifier: Apache-2.0
"""The hypervisors, and the virt driver through which nova-compute speaks with them.

A nova-compute comes and goes; its Hypervisor stays, like the machine under it, and keeps the truth that instance HA must
never get wrong: which guest runs where.  A guest found running on two machines is written down and never forgotten.
"""

import threading
import time

from nova import exception
from nova.compute import power_state, resource_tracker
from nova.virt import fake

HYPERVISORS = {}
DOUBLE_RUNS = []  # {time, server, hosts, seen}
_LOCK = threading.RLock()
_ALIVE = (power_state.RUNNING, power_state.PAUSED)


class Hypervisor:
    """One machine.

    ``spawn_mode`` and ``live_migration_mode``: ok, fail (``spawn_fail_times`` times, -1: always) or hang (until released).
    ``claim_fail_times``: so many rebuilds are refused for want of resources.
    ``shows_life``: nova-compute has run since the power came on, so guests may run here.
    """

    SETTINGS = (
        "spawn_mode",
        "spawn_delay",
        "spawn_fail_times",
        "claim_fail_times",
        "shared_storage",
        "live_migration_mode",
    )

    def __init__(self, name):
        self.name = name
        self.powered = True
        self.shows_life = True
        self.powered_off_at = 0.0
        self.instances = {}  # uuid -> fake.FakeInstance
        self.resources = None
        self.generation = 0  # grows at every crash of nova-compute
        self.events = []
        self.release = threading.Event()
        self.reset_settings()

    def reset_settings(self):
        self.spawn_mode = self.live_migration_mode = "ok"
        self.spawn_delay = 0.0
        self.spawn_fail_times = -1
        self.claim_fail_times = 0
        self.shared_storage = False
        self.release_all()

    def release_all(self):
        """Let everything that hangs go on."""
        self.release.set()
        self.release = threading.Event()

    def note(self, what, uuid=None):
        self.events.append({"time": time.time(), "what": what, "server": uuid})

    def power_off(self):
        with _LOCK:
            self.powered = self.shows_life = False
            self.powered_off_at = time.time()
            self.generation += 1
            for guest in self.instances.values():
                guest.state = power_state.SHUTDOWN
        self.note("power-off")

    def power_on(self, guests):
        """``guests``: the machine starts its guests by itself, as after a power-off that never was."""
        with _LOCK:
            self.powered = True
            if guests:
                self.shows_life = True
                for guest in self.instances.values():
                    guest.state = power_state.RUNNING
        self.note("power-on")
        watch("power-on of " + self.name)

    def running(self):
        if not self.powered:
            return []
        return [uuid for uuid, guest in list(self.instances.items()) if guest.state in _ALIVE]

    def dump(self):
        settings = {name: getattr(self, name) for name in self.SETTINGS}
        return {
            "powered": self.powered,
            "shows_life": self.shows_life,
            "generation": self.generation,
            "defined": sorted(self.instances),
            "running": sorted(self.running()),
            **settings,
        }


def get(name):
    with _LOCK:
        if name not in HYPERVISORS:
            HYPERVISORS[name] = Hypervisor(name)
        return HYPERVISORS[name]


def watch(seen):
    """Look for guests that run on two machines now; each pair is told once."""
    with _LOCK:
        where = {}
        for hypervisor in HYPERVISORS.values():
            for uuid in hypervisor.running():
                where.setdefault(uuid, []).append(hypervisor.name)
        told = {(d["server"], tuple(d["hosts"])) for d in DOUBLE_RUNS}
        for uuid, hosts in where.items():
            if len(hosts) > 1 and (uuid, tuple(sorted(hosts))) not in told:
                DOUBLE_RUNS.append({"time": time.time(), "server": uuid, "hosts": sorted(hosts), "seen": seen})


def let_claims_fail():
    """The claim comes before the driver is asked anything."""
    claim = resource_tracker.ResourceTracker.rebuild_claim

    def rebuild_claim(self, *args, **kwargs):
        machine = get(self.host)
        if machine.claim_fail_times > 0:
            machine.claim_fail_times -= 1
            machine.note("claim-fail")
            raise exception.ComputeResourcesUnavailable(reason="test bed: injected claim failure")
        return claim(self, *args, **kwargs)

    resource_tracker.ResourceTracker.rebuild_claim = rebuild_claim


class BedDriver(fake.FakeDriver):
    vcpus = 1000
    memory_mb = 4000000
    local_gb = 600000

    def init_host(self, host):
        super().init_host(host)
        self.hypervisor = get(host)
        self.generation = self.hypervisor.generation
        self.instances = self.hypervisor.instances
        if self.hypervisor.resources is None:
            self.hypervisor.resources = self.resources
        self.resources = self.hypervisor.resources

    def _is_alive(self):
        return self.generation == self.hypervisor.generation

    def _alive(self):
        """A crashed nova-compute never comes back from a driver call: its thread is left here for ever."""
        if not self._is_alive():
            threading.Event().wait()

    def _set(self, instance, state, what):
        self._alive()
        self.instances[instance.uuid].state = state
        self.hypervisor.note(what, instance.uuid)
        watch(f"{what} on {self.hypervisor.name}")

    # ------------------------------------------------------ what starts guests
    def spawn(self, context, instance, *args, **kwargs):
        hypervisor = self.hypervisor
        self._alive()
        hypervisor.note("spawn-start", instance.uuid)
        if hypervisor.spawn_delay:
            time.sleep(hypervisor.spawn_delay)
        if hypervisor.spawn_mode == "hang":
            hypervisor.release.wait()
        if hypervisor.spawn_mode == "fail" and hypervisor.spawn_fail_times:
            hypervisor.spawn_fail_times -= 1
            hypervisor.note("spawn-fail", instance.uuid)
            raise exception.NovaException("test bed: injected spawn failure")
        with _LOCK:  # the power cannot go between the check and the guest
            if self._is_alive():
                super().spawn(context, instance, *args, **kwargs)
        self._alive()
        hypervisor.note("spawn-done", instance.uuid)
        watch("spawn on " + hypervisor.name)

    def power_on(self, context, instance, *args, **kwargs):
        """As libvirt does it, where this is a hard reboot: the guest is made anew, also where there has been none."""
        self._alive()
        if instance.uuid not in self.instances:
            super().spawn(context, instance, None, None, None, None)
        super().power_on(context, instance, *args, **kwargs)
        watch("start on " + self.hypervisor.name)

    def resume_state_on_host_boot(self, context, instance, network_info, *args, **kwargs):
        """As libvirt does it: a hard reboot."""
        self.power_on(context, instance, network_info)

    def unrescue(self, context, instance):
        self._set(instance, power_state.RUNNING, "unrescue")

    def unpause(self, instance):
        self._set(instance, power_state.RUNNING, "unpause")

    def resume(self, context, instance, *args, **kwargs):
        self._set(instance, power_state.RUNNING, "resume")

    def finish_revert_migration(self, *args, **kwargs):
        self._alive()
        super().finish_revert_migration(*args, **kwargs)
        watch("revert on " + self.hypervisor.name)

    # -------------------------------------------------------- what stops them
    def power_off(self, instance, *args, **kwargs):
        """As libvirt does it: what is not there is off."""
        self._alive()
        if instance.uuid in self.instances:
            super().power_off(instance, *args, **kwargs)

    def pause(self, instance):
        self._set(instance, power_state.PAUSED, "pause")

    def suspend(self, context, instance):
        self._set(instance, power_state.SUSPENDED, "suspend")

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
        self._set(instance, power_state.SHUTDOWN, "migrate-off")

    def destroy(self, context, instance, *args, **kwargs):
        self._alive()
        self.hypervisor.note("destroy", instance.uuid)
        super().destroy(context, instance, *args, **kwargs)

    # ---------------------------------------------------------- live migration
    def live_migration(self, context, instance, dest, post_method, recover_method, *args, **kwargs):
        hypervisor = self.hypervisor
        if hypervisor.live_migration_mode == "hang":
            hypervisor.release.wait()
        self._alive()
        if hypervisor.live_migration_mode == "fail":
            recover_method(context, instance, dest, migrate_data=kwargs.get("migrate_data") or args[-1])
            return
        # The fake destination takes the guest over only after the source has let it go.
        self._set(instance, power_state.SHUTDOWN, "live-migrated-off")
        super().live_migration(context, instance, dest, post_method, recover_method, *args, **kwargs)

    def instance_on_disk(self, instance):
        return self.hypervisor.shared_storage
