"""How far a run may go."""

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt


class Limits(BaseModel):
    """A run that reaches one of these ends with that as its reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: PositiveInt = 50
    """Policy calls."""

    time_s: PositiveFloat = 3600.0
    """Wall-clock seconds, engine start not included."""

    tokens: PositiveInt | None = None
    """Prompt and completion tokens over all steps, those from the prefix cache included."""

    test_time_s: PositiveFloat = 600.0
    """Seconds that the user's test command may run, each time; no more than a third of the run's time."""

    @property
    def longest_tests_s(self) -> float:
        """Tests that hang, as they do with an endless loop to be mended, must leave time to mend it."""
        return min(self.test_time_s, self.time_s / 3)
