# SPDX-License-Identifier: Apache-2.0
"""From what was found to what is wrong and what to do about it: pure, so that every judgement has a test."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from network.operations.facts import Certificate, Chaincode, Disk, Facts, Heights, Node, Ordering

__all__ = ["Finding", "judge", "older_than_supported"]

WRONG, WARNING = "wrong", "warning"
CLOCK_WARN_S, CLOCK_WRONG_S = 2.0, 60.0
EXPIRY_DAYS = 30
BLOCKS_BEHIND = 10
"""A consenter that commits is rarely this far behind; one that catches up leaves this warning by itself."""
_MIB = 1 << 20
FULL_BYTES, NEARLY_FULL_BYTES = 256 * _MIB, 2048 * _MIB
"""An orderer takes 123 MB for a fresh channel."""
_ENTRIES_LEFT = 0.02
_OLDEST = {(3, 1): (3, 1, 5), (2, 5): (2, 5, 16)}
_OLDEST_CA = (1, 5, 0)
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or will be; people read it as one line."""

    severity: str
    """`wrong`, or `warning` for what still works."""
    about: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.about}: {self.problem}; {self.remedy}"


def judge(facts: Facts) -> list[Finding]:
    """Everything that is wrong with a network, what is worst first; the order is otherwise that of the checks."""
    found = [finding for check in _CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: finding.severity != WRONG)


def older_than_supported(version: str) -> str | None:
    """The oldest release that would do instead of this one of Fabric's, None when it does."""
    match = _VERSION.match(version)
    if match is None:
        return None
    number = (int(match[1]), int(match[2]), int(match[3]))
    oldest = _OLDEST[3, 1] if number[0] >= 3 else _OLDEST[2, 5]
    return None if number >= oldest else ".".join(map(str, oldest))


def _state(facts: Facts) -> Iterator[Finding]:
    for obstacle in facts.obstacles:
        yield Finding(WRONG, obstacle.about, obstacle.problem, obstacle.remedy)
    if facts.state == "absent":
        yield Finding(WARNING, str(facts.directory), "holds no network", f"make one with: {_up(facts)}")
    if facts.state == "down":
        again = f"start it with: {_up(facts)} --dir {facts.directory}"
        yield Finding(WARNING, str(facts.directory), "the network does not run", again)


def _nodes(facts: Facts) -> Iterator[Finding]:
    if facts.state != "running":
        return
    taken = {port.owner for port in facts.taken_ports}
    for node in facts.nodes:
        if not node.running and node.name not in taken:
            yield Finding(WRONG, node.name, "does not run", _restart(facts, node))
        elif node.running and not node.answers:
            yield Finding(WRONG, node.name, f"runs, but does not answer at {node.address}", f"look at {node.log}")


def _restart(facts: Facts, node: Node) -> str:
    look = f"look at {node.log}, then start" if node.log else "start"
    return f"{look} what is missing with: {_up(facts)} --dir {facts.directory}"


def _up(facts: Facts) -> str:
    """The command that starts a network of this kind."""
    return "pedigree-network up" + ("" if facts.run_as == "process" else f" --ledger fabric --run-as {facts.run_as}")


def _ports(facts: Facts) -> Iterator[Finding]:
    for port in facts.taken_ports:
        by = port.holder or "another program"
        problem = f"{port.owner} is to listen there, but {by} does"
        yield Finding(WRONG, f"port {port.address}", problem, "stop that, or choose another port in the topology")


def _images(facts: Facts) -> Iterator[Finding]:
    for image in facts.images:
        if image.present:
            continue
        how = "make network-images" if image.own else "make network-images FABRIC_BIN=<folder of Fabric's programs>"
        remedy = f"build it with: {how}" if image.own else f"pull it, or pack it with: {how}"
        yield Finding(WRONG, f"image {image.name}", "is not on this machine", remedy)


def _programs(facts: Facts) -> Iterator[Finding]:
    for program in facts.programs:
        wanted = older_than_supported(program.version)
        if program.name.startswith(("ca.", "fabric-ca")):
            match = _VERSION.match(program.version)
            old = match is not None and tuple(map(int, match.groups())) < _OLDEST_CA
            wanted = "1.5.0" if old else None
        if wanted is not None:
            problem = f"is Fabric {program.version}, which is older than {wanted}"
            yield Finding(WRONG, program.name, problem, f"replace it by {wanted} or newer")


def _clocks(facts: Facts) -> Iterator[Finding]:
    remedy = "set both clocks by NTP: transactions more than 120 s off are refused"
    for clock in facts.clocks:
        off = max(0.0, abs(clock.ahead_s) - clock.uncertain_s)
        if off > CLOCK_WARN_S:
            way = "ahead of" if clock.ahead_s > 0 else "behind"
            problem = f"its clock is {abs(clock.ahead_s):.0f} s {way} this machine's"
            yield Finding(WRONG if off > CLOCK_WRONG_S else WARNING, clock.name, problem, remedy)
    for tip in facts.tips:
        if tip.ahead_s > CLOCK_WARN_S:
            problem = f"its newest transaction is dated {tip.ahead_s:.0f} s after this machine's time"
            severity = WRONG if tip.ahead_s > CLOCK_WRONG_S else WARNING
            yield Finding(severity, f"channel {tip.channel}", problem, remedy)


def _disks(facts: Facts) -> Iterator[Finding]:
    for disk in facts.disks:
        if (severity := _fullness(disk)) is not None:
            full = "the disk is full" if severity == WRONG else "the disk is nearly full"
            problem = f"{full}: {disk.free // _MIB} MiB of {disk.total // _MIB} MiB are left"
            yield Finding(severity, disk.path, problem, "make room, or move the directory to a larger disk")
        if disk.entries and disk.free_entries < disk.entries * _ENTRIES_LEFT:
            problem = f"room for only {disk.free_entries} more files is left"
            yield Finding(WRONG, disk.path, problem, "remove files, or move the directory to another disk")


def _fullness(disk: Disk) -> str | None:
    if disk.free < FULL_BYTES:
        return WRONG
    return WARNING if disk.free < NEARLY_FULL_BYTES else None


def _certificates(facts: Facts) -> Iterator[Finding]:
    for each in facts.certificates:
        about, day = each.path, each.end.strftime("%Y-%m-%d %H:%M UTC")
        remedy = ("renew it before then" if each.end > facts.at else "renew it") + _renewal(facts, each)
        if each.end <= facts.at:
            yield Finding(WRONG, about, f"this {each.purpose} certificate ended on {day}", remedy)
        elif each.end - facts.at < timedelta(days=EXPIRY_DAYS):
            days = (each.end - facts.at).days
            problem = f"this {each.purpose} certificate ends on {day}, in {days} {'day' if days == 1 else 'days'}"
            yield Finding(WRONG, about, problem, remedy)
        if each.begin > facts.at:
            begin = each.begin.strftime("%Y-%m-%d %H:%M UTC")
            problem = f"this {each.purpose} certificate begins on {begin} only"
            yield Finding(WRONG, about, problem, "set this machine's clock, or issue it again")


def _renewal(facts: Facts, certificate: Certificate) -> str:
    """The command that renews a certificate, where one does: authorities and signing identities have other ways."""
    if certificate.purpose != "TLS":
        return ""
    if certificate.path.endswith("client.crt") and "/chaincode" in certificate.path:
        return ": it is a part of the chaincode's package, and the next upgrade-chaincode brings a new one"
    return f" with: pedigree-network rotate-tls --dir {facts.directory}"


def _rotation(facts: Facts) -> Iterator[Finding]:
    if facts.rotating:
        problem = "the renewal of TLS certificates is at work, or was interrupted"
        yield Finding(WARNING, str(facts.directory), problem, "unless it is at work, ask for it again as before")


def _secrets(facts: Facts) -> Iterator[Finding]:
    for file in facts.secrets:
        if file.mode & 0o077:
            problem = f"others than its owner may read or write this secret (mode {file.mode & 0o777:03o})"
            yield Finding(WRONG, file.path, problem, f"close it with: chmod 600 {file.path}")


def _ordering(facts: Facts) -> Iterator[Finding]:
    if facts.state == "running":
        for ordering in facts.ordering:
            yield from _ordering_of(ordering)


def _ordering_of(ordering: Ordering) -> Iterator[Finding]:
    about, nodes = f"channel {ordering.channel}", ordering.consenters
    answering = [node for node in nodes if node.answers]
    kind = "SmartBFT" if ordering.consensus == "bft" else "Raft"
    majority = (len(nodes) + (len(nodes) - 1) // 3) // 2 + 1 if kind == "SmartBFT" else len(nodes) // 2 + 1
    if nodes and not any(node.leads for node in answering):
        problem = f"{kind} has no leader: {len(answering)} of {len(nodes)} orderers answer, {majority} are needed"
        silent = [node.name for node in nodes if not node.answers]
        remedy = (
            f"bring back {', '.join(silent)}" if silent else "wait for an election, then look at the orderers' logs"
        )
        yield Finding(WRONG, about, problem, remedy)
    best = max((node.height for node in answering), default=0)
    for node in answering:
        if best - node.height >= BLOCKS_BEHIND:
            problem = f"is {best - node.height} blocks behind the other orderers of {about}"
            yield Finding(WRONG, node.name, problem, "see in its log what it waits for; restart it if it stands still")
    lone = [node for node in answering if node.leads and node.active is not None and node.active < len(answering)]
    for node in lone:
        problem = f"leads {about}, but finds only {node.active} of {len(nodes)} orderers active"
        yield Finding(WARNING, node.name, problem, "check the connections between the orderers")


def _heights(facts: Facts) -> Iterator[Finding]:
    if facts.state == "running":
        for heights in facts.heights:
            yield from _heights_of(heights)


def _heights_of(heights: Heights) -> Iterator[Finding]:
    """A peer is behind when even later it lacks blocks that another had at the first look; else it merely follows."""
    best = max((peer.first for peer in heights.peers if peer.first is not None), default=0)
    for peer in heights.peers:
        if peer.later is not None and peer.later < best:
            problem = f"has {peer.later} blocks of channel {heights.channel}, others have {best}"
            yield Finding(WRONG, peer.name, problem, "see in its log whether it fetches blocks; restart it if not")


def _chaincodes(facts: Facts) -> Iterator[Finding]:
    for chaincode in facts.chaincodes:
        yield from _approvals(chaincode)
        for host in chaincode.hosts:
            about = f"chaincode {chaincode.name} of {host.organisation}"
            if host.installed is False:
                problem = f"its package {host.package} is approved, but not installed on its peer"
                yield Finding(WRONG, about, problem, "install it by repeating the deployment")
            elif host.problem is not None:
                problem = f"does not answer: {host.problem}"
                yield Finding(WRONG, about, problem, "start its process, at the address of the package")


def _approvals(chaincode: Chaincode) -> Iterator[Finding]:
    about = f"chaincode {chaincode.name}"
    lacking = _lacking(chaincode.approvals)
    if chaincode.sequence and lacking:
        problem = f"sequence {chaincode.sequence} is in force on {chaincode.channel}, but not approved by {lacking}"
        yield Finding(WRONG, about, problem, "have them approve it: until then their peers do not run it")
    if chaincode.pending is not None:
        problem = f"sequence {chaincode.sequence + 1} is approved by {_agreeing(chaincode.pending)}"
        waiting = _lacking(chaincode.pending)
        rest = f", not by {waiting}" if waiting else ", but not committed"
        remedy = "have them approve it, then commit it" if waiting else "commit it, by repeating the deployment"
        yield Finding(WARNING if chaincode.sequence else WRONG, about, problem + rest, remedy)
    elif not chaincode.sequence:
        problem = f"is not deployed on channel {chaincode.channel}"
        yield Finding(WARNING, about, problem, "deploy it with: pedigree-network deploy")


def _lacking(approvals: Mapping[str, bool]) -> str:
    return ", ".join(sorted(msp_id for msp_id, given in approvals.items() if not given))


def _agreeing(approvals: Mapping[str, bool]) -> str:
    return ", ".join(sorted(msp_id for msp_id, given in approvals.items() if given))


def _gateways(facts: Facts) -> Iterator[Finding]:
    if facts.state != "running":
        return
    for gateway in facts.gateways:
        if gateway.problem is not None:
            problem = f"is not ready: {gateway.problem}"
            yield Finding(WRONG, f"{gateway.name} at {gateway.address}", problem, "look at its log")
        for msp_id, reason in gateway.disabled.items():
            problem = f"does not believe {msp_id}, whose MSP in the channel's configuration it does not understand"
            yield Finding(WARNING, gateway.name, f"{problem} ({reason})", f"have {msp_id} mend its MSP")


_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _state,
    _ports,
    _images,
    _programs,
    _nodes,
    _ordering,
    _heights,
    _chaincodes,
    _gateways,
    _clocks,
    _disks,
    _certificates,
    _rotation,
    _secrets,
)
