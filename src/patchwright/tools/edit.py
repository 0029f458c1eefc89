"""edit: one replacement in one file, for models that get lost among the editor's many commands."""

from pydantic import BaseModel, Field

from patchwright.sandbox.base import Sandbox
from patchwright.tools.base import Arguments, Observation
from patchwright.tools.str_replace_editor import EditorArguments, StrReplaceEditor


class EditArguments(Arguments):
    path: str = Field(min_length=1, description="The file, relative to the work tree.")
    old_str: str = Field(description="The lines to replace, copied exactly, with their indentation.")
    new_str: str = Field(description="What takes their place.")


class Edit:
    """`str_replace` of the editor, every argument required: a grammar made from it leaves no wrong choice."""

    name = "edit"
    arguments: type[BaseModel] = EditArguments

    def __init__(self, sandbox: Sandbox, limit_chars: int) -> None:
        self._editor = StrReplaceEditor(sandbox, limit_chars)

    async def run(self, arguments: EditArguments) -> Observation:
        return await self._editor.run(EditorArguments(command="str_replace", **arguments.model_dump()))
