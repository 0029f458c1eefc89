"""What `patchwright model inspect` prints."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from patchwright.cli.model_views import WHOLE_LINES, gigabytes
from patchwright.cli.printable import printable_path
from patchwright.models.checkpoint.inspect import Inspection


def print_inspection(inspection: Inspection) -> None:
    table = Table(show_header=False, box=None)
    for label, value in _facts(inspection).items():
        table.add_row(label, Text(printable_path(value)))
    console = Console(width=WHOLE_LINES, highlight=False)
    console.print(table)
    for problem in inspection.problems:
        console.print(Text(f"wrong: {printable_path(problem)}"))


def _facts(shown: Inspection) -> dict[str, str]:
    heads = f"{shown.heads} heads of {shown.head_length}, {shown.kv_heads} for keys and values"
    weights = ", ".join(f"{name} {gigabytes(size)}" for name, size in shown.tensor_bytes.items())
    return {
        "file": f"{shown.path} ({shown.format})",
        "architecture": f"{shown.architecture}, {shown.parameters:,} parameters",
        "shape": f"{shown.layers} layers, {shown.embedding_length} wide, {shown.feed_forward_length} inside, {heads}",
        "window": f"{shown.context_tokens} tokens",
        "tokenizer": shown.tokenizer,
        "chat template": "yes" if shown.chat_template else "no",
        "system prompt": "the publisher's" if shown.system_prompt else "none",
        "quantisation": shown.quantisation,
        "weights": weights,
    }
