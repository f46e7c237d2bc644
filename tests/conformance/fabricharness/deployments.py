# SPDX-License-Identifier: Apache-2.0
"""The chaincode definitions that the cases need, all deployed at once before the first case."""

from fabricharness.lifecycle import Collection, Definition
from fabricharness.networks import BLOCKS, MAIN, Network, in_parallel

H, L, R = "HospitalMSP", "LabMSP", "RegulatorMSP"

PROBE = "probe"
"""Package (and process) that serves every definition but the callees'."""
CALLEE = "callee"
"""A second process: chaincode cannot call a definition that lives in its own process (S-13)."""

ANYONE = f"OR('{H}.peer','{L}.peer','{R}.peer')"
FIRST_TWO = f"AND('{H}.peer','{L}.peer')"

COLLECTIONS = (
    Collection("pair", (H, L)),
    Collection("readers", (H, L), member_only_read=True),
    Collection("writers", (H, L), member_only_write=True),
    Collection("greedy", (H, L), required=2, maximum=2),
    Collection("passing", (H, L), block_to_live=3),
)

MAIN_DEFINITIONS = (
    # The channel's default: a majority of the organisations' peers.
    Definition("probe"),
    Definition("anyone", ANYONE, COLLECTIONS),
    Definition(
        "pairs", FIRST_TWO, (Collection("labs", (H, L), endorsement=f"OR('{L}.peer')"), Collection("pair", (H, L)))
    ),
    Definition("apart", f"AND('{H}.peer','{R}.peer')", (Collection("pair", (H, L)),)),
    Definition("labonly", f"OR('{L}.member')"),
    Definition("ghost", f"AND('{H}.peer','GhostMSP.peer')"),
    Definition("twice", f"AND('{H}.member','{H}.member')"),
    Definition("greedy", f"AND(OR('{H}.member','{L}.member'),'{L}.member')"),
    Definition("patient", f"AND('{L}.member',OR('{H}.member','{L}.member'))"),
    Definition("peeronly", f"OR('{H}.peer')"),
    Definition("initial", ANYONE, (Collection("pair", (H, L)),), init_required=True),
    Definition("initwrong", ANYONE, (Collection("pair", (H, L)),), init_required=True),
    Definition("race", ANYONE),
    Definition("upgraded", ANYONE, init_required=True),
    Definition("growing", ANYONE, (Collection("pair", (H, L)),)),
)
CALLEES = (Definition("callee", ANYONE), Definition("calleepair", FIRST_TWO))
BLOCKS_DEFINITIONS = (Definition("anyone", ANYONE, COLLECTIONS),)


def deploy_all(net: Network) -> None:
    """Start the programs, install them, and deploy every definition on its channel."""
    in_parallel([lambda: net.launch(PROBE), lambda: net.launch(CALLEE)])
    in_parallel(
        [
            lambda: net.deploy(PROBE, MAIN_DEFINITIONS),
            lambda: net.deploy(CALLEE, CALLEES),
            lambda: net.deploy(PROBE, BLOCKS_DEFINITIONS, BLOCKS),
            lambda: net.deploy(CALLEE, CALLEES[:1], BLOCKS),
            lambda: net.deploy(PROBE, [Definition("away", ANYONE)], MAIN, (net.lab, net.regulator)),
            lambda: net.deploy(
                PROBE, [Definition("halfway", f"AND('{H}.peer','{R}.peer')")], MAIN, (net.hospital, net.lab)
            ),
        ]
    )
