# SPDX-License-Identifier: Apache-2.0
"""Nova as the settings name it, for the worker and for commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from muster.gateways.clock import Clock
from muster.gateways.nova.compute import Nova
from muster.gateways.nova.rights import NovaRights
from muster.gateways.nova.scheduling import NovaScheduling
from muster.installation.installed import NovaAccess
from muster.settings import Settings


def _given(settings: Settings) -> tuple[str, str, bool, str]:
    return settings.cloud, settings.clouds_file, settings.shared_storage, settings.nova_api_version


def nova(
    settings: Settings, announce: Callable[[float], None] = lambda silence_s: None, clock: Optional[Clock] = None
) -> Nova:
    return Nova(*_given(settings), announce, clock)


def scheduling(settings: Settings) -> NovaScheduling:
    return NovaScheduling(*_given(settings))


def rights(settings: Settings) -> NovaRights:
    return NovaRights(*_given(settings))


def nova_access(settings: Settings, thorough: bool = True) -> NovaAccess:
    """What muster's user finds in Nova, and what it may do there; nothing is changed.

    :param thorough: also what only a write shows, which Nova refuses.
    """
    return rights(settings).access(Clock(), bool(settings.reset_states), thorough)
