# SPDX-License-Identifier: Apache-2.0
"""What Pacemaker's and pcs's own tools say of the agents and of the documented configuration."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from lxml import etree

from muster.parameters import parameters
from tests.bed.cloud import Cloud

GIVEN = ("cloud=bed", "shared_storage=yes")
AGENT = "/usr/lib/ocf/resource.d/muster/ComputeRecovery"


def test_pcs_describes_both_agents(cloud: Cloud) -> None:
    described = cloud.ctl("pcs", "resource", "describe", "ocf:muster:ComputeRecovery")
    names = [p.name for p in parameters("ComputeRecovery")]
    assert [name for name in names if f"\n  {name}" not in described] == []
    assert "shared_storage (required)" in described
    assert "Records the fencing" in cloud.ctl("pcs", "stonith", "describe", "fence_muster")


def test_pacemaker_validates_the_parameters(cloud: Cloud) -> None:
    validate = ("crm_resource", "--validate", "--class", "ocf", "--provider", "muster", "--agent", "ComputeRecovery")
    good = [word for pair in GIVEN for word in ("--option", pair)]
    assert cloud.cluster.exec("ctl1", *validate, *good, check=False).returncode == 0
    bad = cloud.cluster.exec("ctl1", *validate, *good, "--option", "in_flight=many", check=False)
    assert bad.returncode != 0
    assert "in_flight" in bad.stdout + bad.stderr
    assert cloud.cluster.exec("ctl1", "stonith_admin", "--validate", "--agent", "fence_muster").returncode == 0


def test_validate_all_asks_nova_when_told_to(cloud: Cloud) -> None:
    def validate(*parameters: str) -> subprocess.CompletedProcess[str]:
        given = ["OCF_CHECK_LEVEL=10", "OCF_RESKEY_cloud=bed", "OCF_RESKEY_shared_storage=no", *parameters]
        return cloud.cluster.exec("ctl1", "env", *given, AGENT, "validate-all", check=False)

    assert validate().returncode == 0, validate().stderr
    wrong = validate("OCF_RESKEY_cloud=elsewhere")
    assert (wrong.returncode, "elsewhere" in wrong.stderr) == (1, True)
    cloud.type("pcs property set no-quorum-policy=freeze")
    try:
        assert "pcs property set no-quorum-policy=stop" in validate().stderr
    finally:
        cloud.type("pcs property set no-quorum-policy=stop")


def test_ocf_tester_is_content(cloud: Cloud) -> None:
    """On a controller without the worker; what it starts and stops is an instance of its own that changes nothing."""
    node = next(node for node in cloud.controllers if node != cloud.worker_node())
    options = [word for pair in GIVEN for word in ("-o", pair)]
    done = cloud.cluster.exec(node, "ocf-tester", "-n", "tested", *options, AGENT, check=False)
    assert (done.returncode, "passed all tests" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("agent", [(AGENT, "meta-data"), ("fence_muster", "-o", "metadata")], ids=lambda a: a[-1])
def test_anybody_reads_the_metadata_without_any_environment(cloud: Cloud, agent: tuple[str, ...]) -> None:
    nobody = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "setpriv", "--reuid=nobody", "--regid=nogroup")
    done = cloud.cluster.exec("ctl1", *nobody, "--clear-groups", *agent)
    assert etree.fromstring(done.stdout.encode()).tag == "resource-agent"


def test_the_documented_configuration_has_no_fault(cloud: Cloud) -> None:
    done = cloud.cluster.exec("ctl1", "crm_verify", "--live-check", "--verbose", check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# ------------------------------------------------- computes that are full members of the cluster, without a daemon

NODES = ("ctl1", "ctl2", "ctl3", "cmp1", "cmp2")
LINES = """
property set no-quorum-policy=stop
stonith create power-cmp1 fence_ipmilan ip=192.0.2.1 username=u password=p pcmk_host_list=cmp1 --force
stonith create power-cmp2 fence_ipmilan ip=192.0.2.2 username=u password=p pcmk_host_list=cmp2 --force
resource create nova-compute ocf:pacemaker:Dummy clone
constraint location nova-compute-clone rule score=-INFINITY "#uname" eq ctl1
constraint location nova-compute-clone rule score=-INFINITY "#uname" eq ctl2
constraint location nova-compute-clone rule score=-INFINITY "#uname" eq ctl3
constraint location nova-compute-clone rule score=-INFINITY defined muster-hold
stonith create muster-fence fence_muster pcmk_host_check=static-list pcmk_host_list="cmp1 cmp2" --force
stonith level add 1 cmp1 power-cmp1 muster-fence --force
stonith level add 1 cmp2 power-cmp2 muster-fence --force
resource create muster ocf:muster:ComputeRecovery cloud=c shared_storage=yes meta resource-stickiness=1000 --force
constraint location muster rule score=-INFINITY "#uname" eq cmp1
constraint location muster rule score=-INFINITY "#uname" eq cmp2
"""


@pytest.fixture
def members(cloud: Cloud) -> Iterator[str]:
    """A CIB file, on ctl1, of a cluster whose computes are no remotes."""
    nodes = "".join(f'<node id="{i}" uname="{n}"/>' for i, n in enumerate(NODES, 1))
    states = "".join(
        f'<node_state id="{i}" uname="{n}" in_ccm="true" crmd="online" join="member" expected="member"/>'
        for i, n in enumerate(NODES, 1)
    )
    live = cloud.cluster.cib()
    spoken = " ".join(f'{key}="{live.get(key)}"' for key in ("crm_feature_set", "validate-with"))
    empty = (
        f'<cib {spoken} epoch="1" num_updates="0" admin_epoch="0" have-quorum="1" dc-uuid="1"><configuration><crm_config/>'
        f"<nodes>{nodes}</nodes><resources/><constraints/></configuration><status>{states}</status></cib>"
    )
    path = "/var/lib/members.xml"
    cloud.cluster.exec("ctl1", "tee", path, stdin=empty)
    for line in LINES.strip().splitlines():
        cloud.type(f"pcs -f {path} {line}")
    yield path
    cloud.ctl("rm", path)


def test_serves_computes_that_are_full_members(cloud: Cloud, members: str) -> None:
    assert cloud.ctl("crm_verify", "--xml-file", members) == ""
    argv = ("crm_simulate", "--xml-file", members, "--simulate", "--node-fail", "cmp1")
    said = cloud.ctl(*argv)
    assert "Fencing cmp1 (reboot)" in said
    started = [
        line for line in said.splitlines() if "muster\t(ocf:muster:ComputeRecovery)" in line.replace(":\t ", "\t ")
    ]
    assert any("Started ctl" in line for line in started), said


def test_keeps_nova_compute_away_from_a_held_member(cloud: Cloud, members: str) -> None:
    where = ("crm_simulate", "--xml-file", members, "--show-scores")
    before = cloud.ctl(*where)
    assert (
        "nova-compute:0 allocation score on cmp1: 0" in before
        or "nova-compute-clone allocation score on cmp1: 0" in before
    )
    pair = '<node id="4" uname="cmp1"><instance_attributes id="n4"><nvpair id="h4" name="muster-hold" value="1"/></instance_attributes></node>'
    cloud.ctl(
        "env", f"CIB_file={members}", "cibadmin", "--modify", "--allow-create", "--scope", "nodes", "--xml-text", pair
    )
    assert "nova-compute-clone allocation score on cmp1: -INFINITY" in cloud.ctl(*where)
