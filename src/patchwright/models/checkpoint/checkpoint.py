"""A checkpoint: what lies in a file or a directory of weights, whichever format it is in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from patchwright.errors import ModelError
from patchwright.models.checkpoint.decoder import Decoder
from patchwright.models.checkpoint.tekken import Tekken
from patchwright.models.checkpoint.tensors import Tensor

Format = Literal["mistral", "hf", "gguf"]

VISION = (
    *("vision_encoder.", "vision_language_adapter.", "patch_merger.", "pre_mm_projector_norm."),
    *("vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."),
)
"""How the names of a vision tower and of its projector begin: Mistral's, then Hugging Face's."""


@dataclass(frozen=True)
class Checkpoint:
    """As it was found, complete or not. Its tensors are read from files that whoever opened it holds open."""

    format: Format
    path: Path
    decoder: Decoder
    tensors: Mapping[str, Tensor]
    """By Mistral's names, with the rows of a head as Mistral has them."""
    others: Sequence[str] = ()
    """Tensors that are not the decoder's, by the names they have there: those of a vision tower, say."""
    tekken: Tekken | None = None
    own_tokenizer: str | None = None
    """What a GGUF file says of the tokens in it, where it is not known which tekken.json they were made from."""
    system_prompt: str | None = None
    """The publisher's, where the files bring one."""
    chat_template: str | None = None

    def text_only(self) -> "Checkpoint":
        """The decoder of a model that sees, without what sees: as Devstral was made from Mistral-Small-3.1.

        Raises ModelError when nothing in it sees.
        """
        kept = [name for name in self.others if not name.startswith(VISION)]
        if len(kept) == len(self.others):
            raise ModelError(f"{self.path}: no vision tower is in it", hint="it is a model of text already")
        return replace(self, others=kept, tekken=self.tekken and self.tekken.text_only())

    def problems(self) -> list[str]:
        """What keeps it from being the model that it says it is."""
        found = [self._problem(name, shape) for name, shape in self.decoder.shapes().items()]
        problems = [problem for problem in found if problem]
        if any(name.startswith(VISION) for name in self.others):
            problems.append("a vision tower is in it; `patchwright model strip-vision` makes it a model of text")
        elif self.others:
            problems.append(f"{len(self.others)} tensors are not the decoder's, {self.others[0]} for one")
        if self.tekken is None and self.own_tokenizer is None:
            problems.append("there is no tokenizer (tekken.json)")
        elif self.tekken and self.tekken.vocabulary != self.decoder.vocabulary:
            problems.append(f"the tokenizer has {self.tekken.vocabulary} tokens, the model {self.decoder.vocabulary}")
        return problems

    def check(self) -> None:
        """Raises ModelError with the first problem, and where a conversion would lack the tokenizer."""
        if problems := self.problems():
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise ModelError(
                f"{self.path}: {problems[0]}{more}", hint=f"`patchwright model inspect {self.path}` lists everything"
            )
        if self.tekken is None:
            raise ModelError(
                f"{self.path}: which tekken.json its tokens were made from is not known",
                hint="convert the directory that the file was made from",
            )

    def in_order(self) -> list[Tensor]:
        """The decoder's tensors as it names them."""
        return [self.tensors[name] for name in self.decoder.shapes()]

    def _problem(self, name: str, shape: tuple[int, ...]) -> str | None:
        tensor = self.tensors.get(name)
        if tensor is None:
            return f"the tensor {name} is missing"
        return None if tensor.shape == shape else f"{name} has the shape {_words(tensor.shape)}, not {_words(shape)}"


def _words(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
