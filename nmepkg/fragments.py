"""JSON Schema fragments of options, each with what it means. Imports nothing heavy: the registry is made of them."""

from __future__ import annotations

from typing import Any

from nmepkg.entries import COUNTED


def integer(meaning: str, minimum: int, **extra: Any) -> dict[str, Any]:
    """Whole numbers."""
    return {"description": meaning, "type": "integer", "minimum": minimum, "maximum": COUNTED, **extra}


def positive(meaning: str, **extra: Any) -> dict[str, Any]:
    """Numbers above 0."""
    return {"description": meaning, "type": "number", "exclusiveMinimum": 0, **extra}


def fraction(meaning: str, **extra: Any) -> dict[str, Any]:
    """Numbers from 0 to below 1."""
    return {"description": meaning, "type": "number", "minimum": 0, "exclusiveMaximum": 1, **extra}


def flag(meaning: str, **extra: Any) -> dict[str, Any]:
    """True or false."""
    return {"description": meaning, "type": "boolean", **extra}


def integers(meaning: str, **extra: Any) -> dict[str, Any]:
    """Lists of whole numbers."""
    return {"description": meaning, "type": "array", "items": integer("", 1), "minItems": 1, **extra}


def numbers(meaning: str, items: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """Lists of numbers, each once."""
    return {"description": meaning, "type": "array", "items": items, "minItems": 1, "uniqueItems": True, **extra}
