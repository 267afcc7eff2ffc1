"""How large an episode is: a part of a learner's settings."""

from typing import Annotated

from pydantic import Field, model_validator

from workspace.settings import Count, Strict


class EpisodeShape(Strict):
    """How large an episode is, as a learner's settings say it."""

    way: Annotated[int, Field(ge=2)] = 5
    """most classes in an episode; each episode draws from min_way to this, as its site allows"""
    min_way: Annotated[int, Field(ge=2)] = 2
    """fewest classes in an episode"""
    shot: Count = 5
    """support patients a class, one image each"""
    min_shot: Count | None = None
    """fewest; each episode draws from this to shot. None: always shot"""
    query: Count = 10
    """images a class"""
    natural_queries: bool = False
    """true: queries hold the classes as often as the site's patients do, not each alike"""

    @model_validator(mode="after")
    def _ranges_rise(self) -> "EpisodeShape":
        if self.min_way > self.way or (self.min_shot or 0) > self.shot:
            raise ValueError("min_way at most way, and min_shot at most shot")
        return self
