"""Thumbs up and down (contract messages §3.3)."""

from typing import Any

TAGS = {
    "thumbsDown": (
        "not_matched",
        "inaccurate",
        "bad_style",
        "missing_image",
        "unjustified_refusal",
        "not_helpful",
        "other",
    ),
    "thumbsUp": (
        "accurate_reliable",
        "creative_solution",
        "clear_well_written",
        "attention_to_detail",
    ),
}
LONGEST_TEXT = 1024


def checked(feedback: Any) -> dict[str, str] | None:
    """The known members of a feedback, ``None`` to clear it; `ValueError` when it is wrong."""
    if feedback is None:
        return None
    if not isinstance(feedback, dict):
        raise ValueError("not an object")
    rating, tag, text = feedback.get("rating"), feedback.get("tag"), feedback.get("text")
    if not isinstance(rating, str) or tag not in TAGS.get(rating, ()):
        raise ValueError("rating and tag do not agree")
    found = {"rating": rating, "tag": str(tag)}
    if text is not None:
        if not isinstance(text, str) or len(text) > LONGEST_TEXT:
            raise ValueError("text")
        found["text"] = text
    return found
