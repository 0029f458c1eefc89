"""Runs OpenHands' SDK on one task, in its own environment: python driver.py ORDER, a JSON file."""

import json
import sys
from pathlib import Path

from openhands.sdk import LLM, Conversation
from openhands.tools.preset.default import get_default_agent


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    llm = LLM(
        model=order["model"],
        base_url=order["base_url"],
        api_key=order["key"],
        usage_id="agent",
        max_input_tokens=order["context_tokens"],
        input_cost_per_token=0,
        output_cost_per_token=0,
        native_tool_calling=False,
    )
    conversation = Conversation(agent=get_default_agent(llm=llm, cli_mode=True), workspace=Path.cwd())
    conversation.send_message(order["task"])
    conversation.run()


main()
