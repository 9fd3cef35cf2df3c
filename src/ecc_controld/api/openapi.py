"""openapi.json, built from the table of routes and the models, so that it cannot say anything else."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .routes import EVERYWHERE, ROUTES, Route
from .schemas import ProblemDocument

REF = "#/components/schemas/{model}"
KEYED = {"Idempotency-Key": "a repeated key returns what the first press came to (kept 24 hours)"}
PRESS = {
    "Pressed-At": "when it was pressed (RFC 3339, the server's time); older than 5 s is answered 410",
    "ECC-Client": "panel, eccctl or api",
}

ONCE = {"type": "string"}
AGAIN = {"type": "array", "items": {"type": "string"}}
"""A query parameter that may come more than once (form style, exploded, which is the default)."""


def document(version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    models: dict[type[BaseModel], None] = {ProblemDocument: None}
    for route in ROUTES:
        models.update(dict.fromkeys(route.answers.values()))
        if route.body is not None:
            models[route.body] = None
    names, schemas = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        found = {model: names[model, "validation"] for model in models}
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, found)
    paths.setdefault("/api/v1/openapi.json", {})["get"] = {
        "summary": "This document",
        "operationId": "openapi",
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}},
            **{str(status): _problem(names[ProblemDocument, "validation"]) for status in EVERYWHERE},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "ecc_controld", "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {"schemas": schemas["$defs"]},
    }


def _problem(schema: Any) -> dict[str, Any]:
    return {"description": "Problem", "content": {"application/problem+json": {"schema": schema}}}


def _operation(route: Route, names: dict[Any, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": AGAIN if name in route.again else ONCE}
        for name, text in route.query.items()
    ]
    headers = {**(KEYED if route.keyed else {}), **(PRESS if route.press else {})}
    parameters += [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in headers.items()
    ]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.handler.__name__,
        "parameters": parameters,
        "responses": {
            str(status): {
                "description": "OK" if status == 200 else "Accepted",
                "content": {
                    route.media: {
                        "schema": names[model] if route.media == "application/json" else {"type": "string"}
                    }
                },
            }
            for status, model in route.answers.items()
        },
    }
    for status in route.refusals:
        operation["responses"][str(status)] = _problem(names[ProblemDocument])
    if route.body is not None:
        operation["requestBody"] = {
            "required": False,
            "content": {"application/json": {"schema": names[route.body]}},
        }
    return operation
