"""Errors, one for each boundary crossed. Every message is for the user; `hint` is the way out."""


class PatchwrightError(Exception):
    """The base of every error that Patchwright raises on purpose.

    `str(error)` is one lower-case sentence that says what went wrong; `hint`, when there is one, says what
    the user can do about it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def with_hint(self) -> str:
        """Both in one line."""
        return f"{self} ({self.hint})" if self.hint else str(self)


class ConfigError(PatchwrightError):
    """A setting, an option or an environment variable makes no sense."""


class RecordError(PatchwrightError):
    """A file that Patchwright reads back (trajectory, session, dataset row) is not what it should be."""


class ModelError(PatchwrightError):
    """A model cannot be named, fetched, read or fitted into memory."""


class EngineError(PatchwrightError):
    """An engine cannot be started, or an endpoint answered with an error or stopped answering."""


class ConversationError(PatchwrightError):
    """A conversation cannot be written in the model's format, or its tokenizer is of another kind."""


class SandboxError(PatchwrightError):
    """The sandbox cannot be started, or has died."""


class ToolError(PatchwrightError):
    """A tool call cannot be carried out. The agent shows it to the policy as an observation."""


class RepositoryError(PatchwrightError):
    """The work tree is not a usable git repository, or git failed."""


class BenchmarkError(PatchwrightError):
    """A benchmark instance cannot be loaded, prepared or graded."""
