# SPDX-License-Identifier: Apache-2.0
"""Whose peers guard what an organisation registered: the key-level policies of Fabric."""

from chaincode.domain.errors import NotAMember, PolicyMissing
from chaincode.domain.policy import Policy, roles_of
from chaincode.domain.values import OrgId


def key_policy(policy: Policy | None, owner: OrgId) -> str:
    """Whose peers must endorse a change to what `owner` registered: its own, and others' up to a majority of members.

    An expression of Fabric's signature policies. A key's policy replaces the chaincode's, so "the owner and
    one other" would be weaker than a majority where there are more than three members. Registering needs a policy
    that names the owner as a member.
    """
    if policy is None:
        raise PolicyMissing
    if roles_of(policy, owner) is None:
        raise NotAMember(owner)
    others = [f"'{member.organisation}.peer'" for member in policy.members if member.organisation != owner]
    needed = max(len(policy.members) // 2, 1)
    gate = "OR(" if needed == 1 else f"OutOf({needed},"
    other = others[0] if len(others) == 1 else f"{gate}{','.join(others)})"
    return f"OutOf(2,'{owner}.peer',{other})"
