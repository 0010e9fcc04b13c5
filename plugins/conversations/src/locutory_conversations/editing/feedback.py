"""Thumbs up and down (contract messages §3.3)."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

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


class Feedback(BaseModel):
    """A rating with the tag that belongs to it."""

    rating: Literal["thumbsUp", "thumbsDown"]
    tag: str = Field(
        description=" · ".join(f"{rating}: {', '.join(TAGS[rating])}" for rating in TAGS)
    )
    text: str | None = Field(None, max_length=LONGEST_TEXT)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.tag not in TAGS[self.rating]:
            raise ValueError("Invalid feedback")
        return self
