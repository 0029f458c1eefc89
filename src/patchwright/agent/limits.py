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
    """Seconds that the user's test command may run."""
