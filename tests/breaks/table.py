# SPDX-License-Identifier: Apache-2.0
"""What is broken, and which tests have to fail then.

For the scenarios of docs/robustness.md that no planted bug of :mod:`tests.sim.mutants` breaks, at the cheapest level that
shows them.  A break reads like a mistake that somebody could make: the program still runs and does the wrong thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LEVELS = ("unit", "sim", "nova", "cluster")


@dataclass(frozen=True)
class Break:
    """:param rows: of docs/robustness.md, which are broken by it.
    :param old: stands in the file exactly once.
    :param tests: below tests/, as pytest names them, all of one level; each of them, or one of its cases, has to fail.
    """

    rows: str
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def level(self) -> str:
        return self.tests[0].partition("/")[0]

    def broken(self, root: Path) -> str:
        """The text of the file in that tree with the break in it.

        :raises ValueError: when the old text does not stand there once, or what is left is no Python.
        """
        text = (root / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: stale, {self.old!r} stands {text.count(self.old)} times in {self.file}")
        broken = text.replace(self.old, self.new)
        try:
            compile(broken, self.file, "exec")
        except SyntaxError as exc:
            raise ValueError(f"{self.name}: what is left of {self.file} is no Python: {exc}") from exc
        return broken


RULES = "src/muster/rules.py"
INCIDENT = "src/muster/incident.py"
SUPERVISE = "src/muster/supervise.py"
NOVA = "src/muster/gateways/nova.py"

BREAKS: tuple[Break, ...] = (
    Break(
        "B41",
        "lets one kind of read wait for the failures of another",
        "src/muster/memory.py",
        "known = self.troubles.get(kind)\n        faults = known.faults if known else 0",
        "known = self.troubles.get(kind)\n        faults = sum(trouble.faults for trouble in self.troubles.values())",
        ("unit/test_memory.py::test_each_kind_of_read_waits_for_its_own_failures_only",),
    ),
    Break(
        "B41",
        "stops all incidents by a list of one host",
        "src/muster/memory.py",
        'return self.troubles[SERVICES].words if SERVICES in self.troubles else ""',
        'return next((trouble.words for trouble in self.troubles.values()), "")',
        ("sim/test_scenarios.py::test_what_cannot_be_read_of_one_host_stops_no_other_incident",),
    ),
    Break(
        "B40",
        "sends a person by what was read before the evacuation had ended",
        RULES,
        "_lost(c) and c.read_at < _shown_by(c)",
        "_lost(c) and c.read_at < 0.0",
        ("unit/test_rules.py::test_nobody_is_sent_to_a_server_that_was_read_before_its_evacuation_had_ended",),
    ),
    Break(
        "B42",
        "asks for all that has changed since a server last moved",
        "src/muster/memory.py",
        "max(self.newest, self.whole_at - SKEW_S, self.since)",
        "max(self.newest, self.since)",
        ("sim/test_scenarios.py::test_what_has_changed_is_asked_for_no_further_back_however_long_one_hangs",),
    ),
    Break(
        "D4",
        "forgets at a second fencing whose the force-down is",
        "src/muster/facts.py",
        "Record(Phase.FENCED, at, at, self.kept, not self.kept)",
        "Record(Phase.FENCED, at, at, self.kept)",
        ("unit/test_record.py::test_a_second_fencing_goes_on_or_begins_anew",),
    ),
    Break(
        "C21",
        "answers a probe only once everything is imported",
        "agents/ComputeRecovery",
        "        os._exit(7)",
        "        pass",
        ("unit/test_agent.py::test_a_probe_is_answered_at_once_whatever_is_broken",),
    ),
    Break(
        "D7",
        "waits for evacuations that Nova deleted with their servers",
        INCIDENT,
        " and m.id not in self.sight.dropped for m in rows",
        " for m in rows",
        ("unit/test_decide.py::TestReturn::test_waits_for_no_row_that_nova_has_deleted",),
    ),
    Break(
        "B4",
        "goes on while Nova does not answer",
        INCIDENT,
        "bool(c.silent) and c.phase is phase,",
        "bool(c.silent) and c.phase is phase and False,",
        ("unit/test_decide.py::test_nova_silent_means_no_effect_and_no_settling",),
    ),
    Break(
        "B13",
        "takes what a cell left out as it fell silent for absent",
        "src/muster/look.py",
        "                host.distrust()\n",
        "",
        (
            "sim/test_scenarios.py::test_forgets_no_server_when_one_list_is_of_a_silent_cell_and_the_next_one_half",
            "sim/test_scenarios.py::test_sends_nothing_again_when_its_cell_was_silent_while_it_was_looked_for",
        ),
    ),
    Break(
        "A4",
        "resets states that the operator did not name",
        RULES,
        " and c.server.vm_state in c.policy.reset_states",
        "",
        (
            "unit/test_rules.py::test_a_state_that_nova_refuses_is_reset_only_where_the_operator_said_so",
            "unit/test_rules.py::test_states_that_nova_refuses_are_never_touched",
        ),
    ),
    Break(
        "A4",
        "holds what the operator lets it reset",
        RULES,
        "    return c.server.vm_state in RESETTABLE_STATES and",
        "    return False and",
        ("unit/test_rules.py::test_a_state_that_nova_refuses_is_reset_only_where_the_operator_said_so",),
    ),
    Break(
        "A5",
        "evacuates out of any state",
        RULES,
        'lambda c: c.server.vm_state not in ("active", "stopped", "error") and not _to_reset(c)',
        "lambda c: False",
        ("unit/test_rules.py::test_states_that_nova_refuses_are_never_touched",),
    ),
    Break(
        "A5",
        "evacuates what never ran",
        RULES,
        "lambda c: not c.server.launched",
        "lambda c: False",
        ("nova/test_states.py::test_leaves_alone_what_nova_would_refuse",),
    ),
    Break(
        "A7",
        "evacuates what was being live-migrated",
        RULES,
        'lambda c: c.server.task_state == "migrating"',
        "lambda c: False",
        ("unit/test_rules.py::test_a_server_in_live_migration_is_held_because_it_may_run_on_the_target",),
    ),
    Break(
        "A7",
        "holds whatever was in the middle of something",
        RULES,
        'lambda c: c.server.task_state == "migrating"',
        "lambda c: bool(c.server.task_state)",
        ("unit/test_rules.py::test_other_tasks_do_not_keep_a_server_from_evacuation",),
    ),
    Break(
        "A9, B30",
        "takes one 404 for a server that is gone",
        RULES,
        "lambda c: c.not_found and not c.listed,",
        "lambda c: c.not_found,",
        ("unit/test_rules.py::test_a_destination_that_nova_does_not_know_makes_no_server_gone",),
    ),
    Break(
        "A9",
        "keeps Nova's words to itself",
        "src/muster/verdict.py",
        "return refused or self.server.fault or status",
        "return refused or status",
        ("nova/test_states.py::test_shows_novas_words_where_a_group_must_stay_together",),
    ),
    Break(
        "A11",
        "evacuates what others look after",
        RULES,
        "lambda c: bool(c.keeper_mark)",
        "lambda c: False",
        ("unit/test_rules.py::test_what_others_look_after_is_skipped_by_its_mark",),
    ),
    Break(
        "A12",
        "does not see that its owner has deleted it",
        RULES,
        'Rule("deleted", lambda c: c.server.deleted,',
        'Rule("deleted", lambda c: False,',
        ("unit/test_rules.py::test_what_its_owner_deleted_is_gone_whatever_was_under_way",),
    ),
    Break(
        "A13",
        "evacuates what another hand has moved away",
        RULES,
        'lambda c: c.server.host not in ("", c.source)',
        "lambda c: False",
        ("unit/test_rules.py::test_moved_by_another_hand_is_left_alone",),
    ),
    Break(
        "A14",
        "reads the first page only",
        NOVA,
        "if not marker:",
        "if True:",
        ("nova/test_cells.py::test_reads_every_page",),
    ),
    Break(
        "A14",
        "sees the servers of its own project only",
        NOVA,
        '{"all_tenants": "1", "host": host}',
        '{"host": host}',
        ("nova/test_cells.py::test_reads_every_page",),
    ),
    Break(
        "A16",
        "leaves out what is locked",
        NOVA,
        '{"all_tenants": "1", "host": host}',
        '{"all_tenants": "1", "host": host, "locked": "false"}',
        ("nova/test_states.py::test_evacuates_locked_servers",),
    ),
    Break(
        "B3",
        "takes a refusal for a call that may have been carried out",
        "src/muster/gateways/nova_faults.py",
        "kind = NovaRefused",
        "kind = NovaUncertain",
        ("unit/test_nova_faults.py::test_a_status_says_whether_anything_can_have_been_done",),
    ),
    Break(
        "B3",
        "tries again what Nova forbids",
        "src/muster/verdict.py",
        "self.sent.status == 403",
        "self.sent.status == 0",
        ("unit/test_rules.py::test_a_refusal_is_that_servers_own_affair",),
    ),
    Break(
        "B5",
        "keeps to the password that it has read once",
        "src/muster/gateways/login.py",
        "if status == 401:",
        "if False:",
        ("nova/test_outages.py::test_a_write_that_is_not_let_in_reads_the_file_again_at_once",),
    ),
    Break(
        "B6",
        "takes what the conductor has not begun for over",
        "src/muster/facts.py",
        "return self in (MoveStatus.ACCEPTED, MoveStatus.PRE_MIGRATING, MoveStatus.OTHER)",
        "return self in (MoveStatus.PRE_MIGRATING, MoveStatus.OTHER)",
        ("unit/test_rules.py::test_never_sends_while_an_evacuation_is_open",),
    ),
    Break(
        "B9",
        "takes ACTIVE after any move for evacuated",
        RULES,
        "lambda c: bool(c.arrival) and not c.server.task_state and _vm_power(c) is c.wanted",
        "lambda c: bool(c.moves) and not c.open_move and not c.server.task_state and _vm_power(c) is c.wanted",
        ("unit/test_rules.py::test_active_on_the_dead_host_after_a_refused_claim_is_not_evacuated",),
    ),
    Break(
        "B14",
        "takes the only service that is listed, whose it may be",
        "src/muster/naming.py",
        'return _one(alike, node, "its short name")',
        'return _one(alike or sum(self._short.values(), []), node, "its short name")',
        ("unit/test_decide.py::test_a_list_without_the_service_is_held_and_not_taken_for_an_empty_host",),
    ),
    Break(
        "B16",
        "evacuates by a microversion that stops every server",
        NOVA,
        "EVACUATE: Version = (2, 94)",
        "EVACUATE: Version = (2, 95)",
        ("nova/test_versions.py::test_ends_in_the_same_states_at_every_microversion[2.100-offered]",),
    ),
    Break(
        "B17",
        "gives a short name to the first of two nodes",
        "src/muster/naming.py",
        "if alike and twins:",
        "if False:",
        ("unit/test_naming.py::test_two_nodes_never_share_a_service_by_short_name",),
    ),
    Break(
        "B17",
        "falls back to the name where the map has a typing error",
        "src/muster/naming.py",
        "if node in self._host_map:",
        "if self._host_map.get(node) in self._mapped:",
        ("unit/test_naming.py::test_the_operators_map_wins_and_must_exist",),
    ),
    Break(
        "B18",
        "takes the first of two services of a host",
        "src/muster/naming.py",
        "if len(found) == 1:",
        "if found:",
        ("unit/test_naming.py::test_two_services_of_one_name_are_refused",),
    ),
    Break(
        "C1",
        "records no fencing, only the hold",
        "src/muster/gateways/cib.py",
        '{RECORD: token, HOLD: "1"}',
        '{HOLD: "1"}',
        ("cluster/test_hosts.py::test_evacuates_a_lost_host_and_takes_it_back[power cut]",),
    ),
    Break(
        "C2",
        "does not record what an operator confirms",
        INCIDENT,
        "lambda c: (WriteRecord(c.node.name, None, _confirmed(c)),)",
        "lambda c: ()",
        ("unit/test_decide.py::test_an_operators_confirmation_is_recorded_before_anything_follows",),
    ),
    Break(
        "C7",
        "waits until every controller is back",
        "src/muster/decide.py",
        "    if not cluster.quorum:\n",
        "    if not cluster.quorum or not all(node.remote or node.member for node in cluster.nodes.values()):\n",
        ("cluster/test_faults.py::test_a_controller_that_dies_with_a_compute_is_no_hindrance",),
    ),
    Break(
        "C8",
        "takes a worker that hangs for one that works",
        SUPERVISE,
        "return max(0.0, time.monotonic() - float(deadline)) if isinstance(deadline, (int, float)) else 0.0",
        "return 0.0",
        ("unit/test_supervise.py::test_the_monitor_tells_slow_from_hung",),
    ),
    Break(
        "C8",
        "takes any process with the worker's number for the worker",
        SUPERVISE,
        " and ticks(int(identity[0])) == identity[1]",
        "",
        ("unit/test_supervise.py::test_a_pid_that_was_given_anew_is_nobody",),
    ),
    Break(
        "C11",
        "goes on only with what it has begun itself",
        "src/muster/look.py",
        "        nodes = self._incidents(cluster)\n",
        "        begun, known = Phase.EVACUATING, self._memory.hosts\n"
        "        nodes = [n for n in self._incidents(cluster) if n.record.phase is not begun or n.name in known]\n",
        ("cluster/test_faults.py::test_goes_on_after_all_controllers_were_restarted",),
    ),
    Break(
        "C13",
        "takes a power device behind it for one before it",
        "src/muster/topology.py",
        "for name in before):",
        "for name in level.devices):",
        ("unit/test_topology.py::test_an_objection_names_the_level_and_the_remedy",),
    ),
    Break(
        "C13",
        "takes one sound level for enough",
        "src/muster/topology.py",
        "for level in concerned:",
        "for level in concerned[:1]:",
        ("unit/test_topology.py::test_an_objection_names_the_level_and_the_remedy",),
    ),
    Break(
        "C13",
        "takes an agent that it does not know for one that cuts power",
        "src/muster/topology.py",
        'return f"{named} is not known to cut power"',
        'return ""',
        ("unit/test_topology.py::test_an_operator_may_vouch_for_an_agent_but_not_for_one_that_leaves_the_power_on",),
    ),
    Break(
        "C13",
        "reads a level's pattern as Python does",
        "src/muster/gateways/cib.py",
        "return posix.matches(pattern, name)",
        "return re.search(pattern, name, re.IGNORECASE) is not None",
        ("unit/test_topology.py::test_sound_behind_a_power_device_in_every_level_that_names_it",),
    ),
    Break(
        "C13",
        "does not know what Pacemaker makes of a device's action",
        "src/muster/gateways/cib.py",
        'given.get("pcmk_off_action", action if action not in ("", "reboot") else "off")',
        'given.get("pcmk_off_action", "off")',
        ("unit/test_topology.py::test_only_what_is_known_to_cut_power_counts",),
    ),
    Break(
        "C13",
        "takes the first of several sets of a device, whatever their scores",
        "src/muster/gateways/attributes.py",
        '-score(each.get("score", "")), -position',
        "0, position",
        ("unit/test_topology.py::test_only_what_is_known_to_cut_power_counts",),
    ),
    Break(
        "C13",
        "takes the plug of a device for the node",
        "src/muster/fence.py",
        'given.get("nodename") or given.get("plug")',
        'given.get("plug") or given.get("nodename")',
        ("unit/test_fence.py::test_reads_what_pacemaker_sends",),
    ),
    Break(
        "C15",
        "gives up when Pacemaker's tools do not answer",
        "src/muster/worker.py",
        "            return IDLE_LOOK_S\n        self._memory.cluster_trouble",
        "            raise\n        self._memory.cluster_trouble",
        ("cluster/test_faults.py::test_waits_while_pacemakers_tools_do_not_answer",),
    ),
    Break(
        "D2",
        "keeps a host away for ever because of what is held",
        INCIDENT,
        "return sum(f.verdict.open for f in self.findings)",
        'return sum(f.verdict.open or f.verdict.value == "held" for f in self.findings)',
        ("unit/test_decide.py::test_settled_lets_the_host_return_and_names_what_stays",),
    ),
    Break(
        "D5",
        "lifts the force-down before nova-compute has finished its rows",
        INCIDENT,
        "or (c.uncompleted_rows > 0 and (c.known_service.forced_down or c.disabled_by_us))",
        "",
        ("unit/test_decide.py::TestReturn::test_stays_forced_down_until_nova_compute_has_finished_its_rows",),
    ),
    Break(
        "B30",
        "takes what stands before Nova for Nova",
        "src/muster/gateways/nova_faults.py",
        "    elif ident and said:",
        "    elif said:",
        ("unit/test_nova_faults.py::test_a_status_of_somebody_else_is_about_no_server",),
    ),
    Break(
        "B31",
        "follows a redirect with its token",
        "src/muster/gateways/login.py",
        "        if 300 < reply.status_code < 400 and location and away:",
        "        if 300 < reply.status_code < 400 and location and away and not reply.url:",
        ("nova/test_faults.py::test_reads_are_not_redirected",),
    ),
    Break(
        "B31",
        "settles by a list that Nova's own records contradict",
        INCIDENT,
        "        lambda c: c.unshown > 0,",
        "        lambda c: False,",
        ("unit/test_decide.py::test_a_list_without_a_server_that_was_evacuated_from_there_settles_nothing",),
    ),
    Break(
        "B32",
        "takes a row whose hosts are hidden for one without a destination yet",
        "src/muster/gateways/nova_facts.py",
        '    if not row.get("source_compute"):',
        '    if "source_compute" not in row:',
        ("unit/test_nova_needs.py::test_an_evacuation_without_its_source_is_half_an_answer",),
    ),
    Break(
        "B33",
        "speaks for ever what was offered at first",
        NOVA,
        "            if exc.status != NOT_OFFERED:\n                raise\n",
        "            raise\n",
        ("unit/test_nova_lists.py::test_an_api_that_offers_less_than_it_did_is_discovered_anew",),
    ),
    Break(
        "B34",
        "asks for the same page again when it took too long",
        NOVA,
        'max(PAGE_MIN, int(asked["limit"]) // 2)',
        'max(PAGE_MIN, int(asked["limit"]))',
        ("unit/test_nova_lists.py::test_a_page_that_takes_too_long_is_asked_for_in_smaller_ones",),
    ),
    Break(
        "B35",
        "gives a list the same time whatever Nova waits for",
        NOVA,
        "max(login.CELLS_TIMEOUT_S, timeout_s or 0.0)",
        "timeout_s",
        ("unit/test_nova_lists.py::test_nova_is_given_the_time_that_it_waits_for_a_hung_cell",),
    ),
    Break(
        "B36",
        "takes whichever region comes first",
        "src/muster/gateways/login.py",
        "        if len(regions) > 1 and not named:",
        "        if False:",
        ("nova/test_outages.py::test_the_region_is_one_of_the_catalogue",),
    ),
    Break(
        "D5",
        "reports a refused lifting as done",
        NOVA,
        "        if reply.status_code >= 300 or not ident:",
        "        if reply.status_code > 400 or not ident:",
        ("nova/test_return.py::test_waits_for_a_refused_lifting_and_repeats_it",),
    ),
    Break(
        "D6",
        "takes a failure during the return for the same incident",
        "src/muster/facts.py",
        "if self.phase is Phase.RETURNING:",
        "if False:",
        (
            "unit/test_record.py::test_a_second_fencing_goes_on_or_begins_anew",
            "unit/test_fence.py::test_off_during_the_return_begins_a_new_incident",
        ),
    ),
    Break(
        "E1",
        "tells the first fault only",
        "src/muster/settings.py",
        "raise SettingsError(faults)",
        "raise SettingsError(faults[:1])",
        (
            "unit/test_settings.py::test_names_every_fault_at_once_with_value_and_remedy",
            "unit/test_ocf.py::test_all_faults_in_one_line_and_nothing_is_started",
        ),
    ),
    Break(
        "E1",
        "takes any number for one within bounds",
        "src/muster/settings.py",
        " or not low <= int(text) <= high:",
        ":",
        ("unit/test_settings.py::test_names_every_fault_at_once_with_value_and_remedy",),
    ),
    Break(
        "E1",
        "starts whatever the parameters are",
        "src/muster/ocf.py",
        "    code = _validate_all(environment, deep=False)\n    if code:\n        return code\n",
        "",
        ("unit/test_ocf.py::test_all_faults_in_one_line_and_nothing_is_started",),
    ),
    Break(
        "E2",
        "takes every word for a yes",
        "src/muster/settings.py",
        "return word in _TRUE\n",
        "return bool(word)\n",
        ("unit/test_settings.py::test_reads_booleans_in_every_spelling",),
    ),
    Break(
        "E2",
        "reads booleans in small letters only",
        "src/muster/settings.py",
        "word = text.lower()",
        "word = text",
        ("unit/test_settings.py::test_reads_booleans_in_every_spelling",),
    ),
    Break(
        "E3",
        "writes values into the log as they come",
        "src/muster/log.py",
        "return text if _PLAIN.fullmatch(text) else json.dumps(text)",
        "return text if text else json.dumps(text)",
        ("unit/test_outlets.py::test_a_value_stays_one_printable_word_of_one_line",),
    ),
    Break(
        "E3",
        "lets a name out of its XPath",
        "src/muster/gateways/cib.py",
        '    if "\'" not in text:\n',
        "    if True:\n",
        ("unit/test_untrusted.py::test_a_name_stays_a_name_in_xml_and_in_xpath",),
    ),
    Break(
        "E3",
        "prints names as they come",
        "src/muster/words.py",
        'return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))',
        "return str(text)",
        (
            "unit/test_page.py::test_whatever_a_name_is_it_stays_text",
            "unit/test_report_command.py::test_a_name_steers_no_terminal",
        ),
    ),
    Break(
        "E4",
        "hands the worker its credentials in the environment",
        SUPERVISE,
        "env=kept,",
        'env={**kept, "OS_CLOUDS": _read("/etc/muster/clouds.yaml")},',
        ("cluster/test_surface.py::test_no_secret_is_to_be_seen_anywhere",),
    ),
    Break(
        "E5",
        "reads through a symlink",
        SUPERVISE,
        "os.open(path, os.O_RDONLY | os.O_NOFOLLOW)",
        "os.open(path, os.O_RDONLY)",
        ("unit/test_supervise.py::test_follows_no_symlink",),
    ),
    Break(
        "E5",
        "makes its lock file through a symlink",
        SUPERVISE,
        "os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW",
        "os.O_RDWR | os.O_CREAT",
        ("unit/test_supervise.py::test_makes_no_file_through_a_symlink",),
    ),
    Break(
        "E5",
        "trusts a folder of another user",
        SUPERVISE,
        "if os.stat(self.directory).st_uid != os.geteuid():",
        "if False:",
        ("unit/test_supervise.py::test_starts_nothing_in_a_folder_of_another_user",),
    ),
    Break(
        "E6",
        "believes any certificate",
        "src/muster/gateways/login.py",
        "                connection.session.timeout = WRITE_TIMEOUT_S",
        "                connection.session.verify = False\n                connection.session.timeout = WRITE_TIMEOUT_S",
        (
            "nova/test_tls.py::test_refuses_a_certificate_that_is_not_right"
            "[unknown-ca-unable to get local issuer certificate-compute]",
        ),
    ),
    Break(
        "E7",
        "lets everybody write where the worker's number stands",
        SUPERVISE,
        "os.chmod(self.directory, 0o755)",
        "os.chmod(self.directory, 0o777)",
        ("cluster/test_surface.py::test_who_is_not_root_can_change_nothing",),
    ),
    Break(
        "B1",
        "reckons how late a call may be from when it was sent",
        "src/muster/act.py",
        "quiet_until=self._clock.now() + quiet_s",
        "quiet_until=at + quiet_s",
        ("unit/test_act.py::test_a_call_may_be_carried_out_for_so_long_after_it_was_given_up",),
    ),
    Break(
        "D4",
        "finds its mark anywhere in an operator's reason",
        INCIDENT,
        "service.disabled_reason.startswith(MARK)",
        "MARK in service.disabled_reason",
        ("unit/test_decide.py::TestReturn::test_an_operators_disable_stays",),
    ),
    Break(
        "D1",
        "lets an operator's release pass over what is under way",
        RULES,
        'Rule("on-the-way", lambda c: c.open_move is not None, Verdict.EVACUATING, _on_the_way),',
        'Rule("released", lambda c: c.released, Verdict.HELD, lambda c: "left on its host"),\n'
        '    Rule("on-the-way", lambda c: c.open_move is not None, Verdict.EVACUATING, _on_the_way),',
        ("unit/test_rules.py::test_a_host_is_released_with_nothing_under_way",),
    ),
    Break(
        "D1",
        "takes every server with a verdict for safe, whatever Nova still has open",
        INCIDENT,
        ' and f.rule != "finish-false"}',
        "}",
        ("unit/test_decide.py::test_a_row_of_a_server_whose_finish_is_false_keeps_nova_compute_away",),
    ),
    Break(
        "B13",
        "believes a list that its cell may have fallen silent for",
        "src/muster/memory.py",
        "        if self.moves_read_at < answered_at:\n",
        "        if True:\n",
        ("unit/test_memory.py::test_only_a_list_of_before_its_cell_answered_proves_that_nothing_else_is_there",),
    ),
    Break(
        "B4",
        "takes the time that Nova needed to answer for time that was watched",
        "src/muster/look.py",
        "            now=now,  # not later",
        "            now=self._clock.now(),  # not later",
        ("unit/test_look.py::test_a_sight_is_as_old_as_the_first_thing_in_it",),
    ),
    Break(
        "D8",
        "obeys what was ordered about an earlier incident",
        "src/muster/facts.py",
        "return self.orders if self.orders and self.orders.first == first else",
        "return self.orders if self.orders else",
        ("unit/test_orders.py::test_orders_of_an_earlier_incident_mean_nothing",),
    ),
    Break(
        "D8",
        "lifts a force-down although it has been paused since",
        "src/muster/act.py",
        "        if cluster.paused:\n",
        "        if False:\n",
        ("unit/test_act.py::test_lifts_nothing_once_it_sees_that_it_must_not",),
    ),
    Break(
        "D8",
        "calls back what is under way when it is to be skipped",
        RULES,
        'Rule("on-the-way", lambda c: c.open_move is not None, Verdict',
        'Rule("on-the-way", lambda c: c.open_move is not None and not c.skipped, Verdict',
        ("unit/test_orders.py::test_does_not_call_back_what_is_under_way",),
    ),
)
