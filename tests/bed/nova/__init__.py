# SPDX-License-Identifier: Apache-2.0
"""Real Nova in one process over HTTP on 127.0.0.1, for tests.

nova-api with its own paste pipeline, keystonemiddleware and policies, nova-conductor, nova-scheduler, one nova-compute
per host, placement; sqlite, oslo.messaging's ``fake:/``, native threads.  Only Neutron, Glance and Cinder are Nova's own
test fixtures, Keystone is a small Identity v3, and the hypervisor is ours: it keeps the truth of which guest runs where.

Two halves that never import each other: the server (a virtual environment with Nova, see requirements.txt) and the
client, ``client.NovaBed`` (standard library only).
"""
