"""What the doctor says about a topic."""

from __future__ import annotations

from pymilk.inspection.doctor import examine


def about(topic: str) -> list[dict[str, str]]:
    return [finding for finding in examine() if finding["topic"] == topic]
