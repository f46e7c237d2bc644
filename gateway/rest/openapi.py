# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, generated from the table of operations."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from gateway.api.operations import EXAMPLES
from gateway.api.rows import Operation, Parameter
from gateway.api.scopes import ANY_CLIENT
from gateway.rest.refusals import codes_of
from gateway.rest.reports import Schema
from gateway.rest.schemas import Components

_UPLOADS = {
    "text/plain": "p1\np2\n",
    "text/csv": "id,age\r\np1,61\r\n",
    "application/jsonl": '{"id": "p1", "age": 61}\n',
    "application/vnd.apache.parquet": "PAR1…PAR1",
    "application/vnd.pedigree.transaction+json": '{"function": "model:register", "command": {"model": "net", '
    '"title": "A network"}, "certificate": "-----BEGIN CERTIFICATE-----…", "key": "register-net"}',
}
_BATCH = [
    {"function": "model:register", "command": {"model": "net", "title": "A network"}, "key": "register-net"},
    {"function": "model:register", "command": {"model": "tree", "title": "A tree"}},
]
_CONDITIONS: list[Schema] = [
    {
        "name": "If-None-Match",
        "in": "header",
        "description": "Tags of answers that the caller has: 304 without a body where it would get one of these.",
        "schema": {"type": "string"},
    },
    {
        "name": "If-Match",
        "in": "header",
        "description": "Tags of which the answer must have one; otherwise 412 `precondition-failed`.",
        "schema": {"type": "string"},
    },
]
_SCHEMES: Mapping[str, Schema] = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `id.secret`."},
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of the issuer that this gateway's operator named, where one is named.",
    },
    "clientCertificate": {
        "type": "mutualTLS",
        "description": "A client certificate that is registered here, where the gateway asks for one.",
    },
}
"""What a request is proven with, one of these; behind each, an operation names the scope that it needs. Signatures of
requests (RFC 9421) have no type of their own in OpenAPI."""
_PROBLEM_REFERENCE = {"$ref": "#/components/responses/Problem"}


def document(nouns: Mapping[str, Sequence[Operation]], *, version: str, organisation: str) -> Schema:
    """The whole document as plain values; `nouns` are the operations by the noun that they are about."""
    components = Components()
    paths: Schema = {}
    for noun, operations in nouns.items():
        for operation in operations:
            described = {"tags": [noun], **_operation(operation, components)}
            paths.setdefault(operation.path, {})[operation.method.lower()] = described
    problem, pending = components.report("Problem"), components.report("Pending")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Pedigree gateway of {organisation}",
            "version": version,
            "summary": "Where data sets and models come from, who vouches for them, and proof of it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{scheme: []} for scheme in _SCHEMES],
        "tags": [{"name": noun} for noun in nouns],
        "paths": paths,
        "components": {
            "securitySchemes": dict(_SCHEMES),
            "schemas": dict(sorted(components.schemas.items())),
            "headers": {
                "LedgerHeight": {
                    "description": "Number of blocks that the answer reflects.",
                    "schema": {"type": "integer"},
                },
                "ETag": {
                    "description": "Tag of what is answered, but for its `height`.",
                    "schema": {"type": "string"},
                },
            },
            "responses": {
                "Problem": {
                    "description": "Any failure, in the one shape that all failures have (RFC 9457).",
                    "content": {"application/problem+json": {"schema": problem}},
                },
                "NotModified": {
                    "description": "The caller has this answer, as its `If-None-Match` says.",
                    "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                },
                "Pending": {
                    "description": "Accepted; the operation that `Location` names says how it ends.",
                    "headers": {"Location": {"schema": {"type": "string"}}},
                    "content": {"application/json": {"schema": pending}},
                },
            },
        },
    }


def _refused(status: int, codes: Sequence[str], problem: Schema) -> Schema:
    """The response of one status, with every code that it can have."""
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}.",
        "content": {"application/problem+json": {"schema": problem}},
        # What a schema of each response would say, if generators did not make a type of each.
        "x-problem-codes": list(codes),
    }


def _needed(operation: Operation) -> str:
    """Who may ask for it, in words."""
    if operation.scope == ANY_CLIENT:
        return f"Every client may, from the role `{operation.role}` on."
    return f"Needs the scope `{operation.scope}`, which the role `{operation.role}` has."


def _tag(operation: Operation) -> Schema:
    return {"ETag": {"$ref": "#/components/headers/ETag"}} if operation.tagged else {}


def _operation(operation: Operation, components: Components) -> Schema:
    problem = components.report("Problem")
    responses: Schema = {
        str(operation.status): {
            "description": "Done." if operation.keyed else "Found.",
            "headers": {"Ledger-Height": {"$ref": "#/components/headers/LedgerHeight"}, **_tag(operation)},
            "content": {operation.answer.media_type: {"schema": components.answer(operation.answer)}},
        },
        **{str(status): _refused(status, codes, problem) for status, codes in codes_of(operation).items()},
        "default": _PROBLEM_REFERENCE,
    }
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.does,
        "description": _needed(operation),
        "security": [{scheme: [] if operation.scope == ANY_CLIENT else [operation.scope]} for scheme in _SCHEMES],
        "parameters": [*_in_the_path(operation), *_in_the_query(operation, components), *_in_the_head(operation)],
        "responses": responses,
    }
    if operation.tagged:
        responses["304"] = {"$ref": "#/components/responses/NotModified"}
    if operation.keyed:
        responses["202"] = {"$ref": "#/components/responses/Pending"}
    if operation.media_types:
        content: Schema = {}
        if operation.body is not None:
            body = components.body(operation)
            content["application/json"] = {"schema": body, "example": components.example(body)}
        content |= {
            media_type: {"schema": {"type": "string"}, "example": _UPLOADS.get(media_type, "")}
            for media_type in operation.uploads
        }
        if operation.batch:
            content["application/json"] = {"schema": components.report("Batch"), "example": _BATCH}
        described["requestBody"] = {"required": not operation.optional_body, "content": content}
    return described


def _in_the_path(operation: Operation) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "example": EXAMPLES[name]}
        for name in operation.places
    ]


def _in_the_query(operation: Operation, components: Components) -> list[Schema]:
    return [
        {
            "name": parameter.name,
            "in": "query",
            "description": parameter.meaning,
            "required": parameter.required,
            "schema": _form(parameter, components),
        }
        for parameter in operation.taken
    ]


def _form(parameter: Parameter, components: Components) -> Schema:
    if parameter.form == "choice":
        return components.choice(parameter.name, parameter.choices)
    if parameter.form == "text":
        return {"type": "string"}
    most = {"maximum": parameter.most} if parameter.most else {}
    default = {} if parameter.default is None else {"default": int(parameter.default)}
    return {"type": "integer", "minimum": parameter.least, **most, **default}


def _in_the_head(operation: Operation) -> list[Schema]:
    parameters: list[Schema] = [
        {
            "name": "Min-Ledger-Height",
            "in": "header",
            "description": "Answer only from at least this height; otherwise 503 `behind`.",
            "schema": {"type": "integer", "minimum": 0},
        }
    ]
    if operation.tagged:
        parameters += _CONDITIONS
    if operation.keyed:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "Names this request; sending it again gives the first answer.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            }
        )
        parameters.append({"name": "Prefer", "in": "header", "schema": {"type": "string"}})
        parameters.append(
            {
                "name": "Endorsing-Organisations",
                "in": "header",
                "description": "MSP ids, comma separated, of those that must endorse; normally the peer chooses.",
                "schema": {"type": "string"},
            }
        )
    return parameters
