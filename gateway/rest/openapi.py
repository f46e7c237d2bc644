# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, generated from the routes that are served."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from gateway.rest.refusals import codes_of
from gateway.rest.routing import Route
from gateway.rest.schemas import PROBLEM, Schema, example

_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_UPLOADS = {"text/csv": "id,age\r\np1,61\r\n", "application/jsonl": '{"id": "p1", "age": 61}\n'}
_PROBLEM_REFERENCE = {"$ref": "#/components/responses/Problem"}


def document(nouns: Mapping[str, Sequence[Route]], *, version: str, organisation: str) -> Schema:
    """The whole document as plain values; `nouns` are the routes by the noun that they are about."""
    paths: Schema = {}
    for noun, routes in nouns.items():
        for route in routes:
            paths.setdefault(route.path, {})[route.method.lower()] = {"tags": [noun], **_operation(route)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Pedigree gateway of {organisation}",
            "version": version,
            "summary": "Where data sets and models come from, who vouches for them, and proof of it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": noun} for noun in nouns],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `id.secret`."}
            },
            "schemas": {"Problem": PROBLEM},
            "headers": {
                "LedgerHeight": {
                    "description": "Number of blocks that the answer reflects.",
                    "schema": {"type": "integer"},
                }
            },
            "responses": {
                "Problem": {
                    "description": "Any failure, in the one shape that all failures have (RFC 9457).",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                },
                "Pending": {
                    "description": "Accepted; its fate is told by the operation that `Location` names.",
                    "headers": {"Location": {"schema": {"type": "string"}}},
                    "content": {
                        "application/json": {
                            "schema": {"type": "object", "properties": {"operation": {"type": "string"}}}
                        }
                    },
                },
            },
        },
    }


def _refused(status: int, codes: Sequence[str]) -> Schema:
    """The response of one status, with every code that it can have."""
    named = {"properties": {"status": {"const": status}, "code": {"enum": list(codes)}}}
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}.",
        "content": {
            "application/problem+json": {"schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, named]}}
        },
    }


def _operation(route: Route) -> Schema:
    responses: Schema = {
        str(route.status): {
            "description": "Done." if route.records else "Found.",
            "headers": {"Ledger-Height": {"$ref": "#/components/headers/LedgerHeight"}},
            "content": {"application/json": {"schema": route.answers}},
        },
        **{str(status): _refused(status, codes) for status, codes in codes_of(route).items()},
        "default": _PROBLEM_REFERENCE,
    }
    operation: Schema = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Needs the role `{route.role}`.",
        "parameters": _parameters(route),
        "responses": responses,
    }
    if route.records:
        responses["202"] = {"$ref": "#/components/responses/Pending"}
    if route.takes is not None:
        content: Schema = {}
        if route.takes:
            content["application/json"] = {"schema": route.takes, "example": example(route.takes)}
        content |= {
            media_type: {"schema": {"type": "string"}, "example": _UPLOADS.get(media_type, "")}
            for media_type in route.uploads
        }
        operation["requestBody"] = {"required": not route.optional_body, "content": content}
    return operation


def _parameters(route: Route) -> list[Schema]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in route.parameters.items()
    ]
    parameters.append(
        {
            "name": "Min-Ledger-Height",
            "in": "header",
            "description": "Answer only from at least this height; otherwise 503 `behind`.",
            "schema": {"type": "integer", "minimum": 0},
        }
    )
    if route.records:
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
