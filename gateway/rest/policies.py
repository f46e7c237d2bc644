# SPDX-License-Identifier: Apache-2.0
"""The consortium's endorsement policy: votes for it, and its versions."""

from chaincode.domain.errors import RecordNotFound
from gateway.rest import schemas
from gateway.rest.routing import PAGING, Call, Reply, Route, paged, recorded
from gateway.services.catalogue import Catalogue
from gateway.services.recording import Recorder


def routes(recorder: Recorder, catalogue: Catalogue) -> tuple[Route, ...]:
    """The operations on policies."""

    def vote(call: Call) -> Reply:
        return recorded(recorder.record(call.recording, "endorsement:set-policy", call.json))

    def current(_: Call) -> Reply:
        found = catalogue.page("policy", cursor=None, limit=1)["items"]
        if not found:
            raise RecordNotFound("policy")
        return Reply(found[0])

    def votes(call: Call) -> Reply:
        return paged(call, catalogue, "policy-vote")

    def listed(call: Call) -> Reply:
        return paged(call, catalogue, "policy-version")

    return (
        Route(
            "POST", "/v1/policies", "voteForPolicy",
            "Vote for a version of the policy; the vote that completes the quorum puts it in force.", vote,
            answers=schemas.committed("policy", "policy-vote"), takes=schemas.command("endorsement:set-policy"),
            role="operator", records=True, status=201,
        ),
        Route("GET", "/v1/policies", "listPolicies", "Every version that was in force.", listed,
              answers=schemas.page("policy-version"), parameters=PAGING),
        Route("GET", "/v1/policies/current", "getPolicy", "The policy in force.", current,
              answers=schemas.shown("policy")),
        Route("GET", "/v1/policies/votes", "listPolicyVotes", "Votes for versions of the policy.", votes,
              answers=schemas.page("policy-vote"), parameters={**PAGING, "number": "Only votes for this version."}),
    )  # fmt: skip
