"""A program for whatever Python has Ray: says how far Ray's own schemas take the configs that come on standard input.

The names of the schemas are printed, one a line. Ray's imports warn, and take seconds: none of it belongs into pytest.
"""

import sys

import yaml
from ray.serve.schema import ServeDeploySchema

schemas = [ServeDeploySchema.model_validate(config) for config in yaml.safe_load_all(sys.stdin)]
print("ServeDeploySchema\n" * len(schemas), end="")
try:
    from ray.serve.llm import LLMServingArgs
except ImportError as error:
    print(error, file=sys.stderr)  # vLLM is not here
    sys.exit()
for schema in schemas:
    (llm,) = LLMServingArgs.model_validate(schema.applications[0].args).llm_configs
    engine = llm.get_engine_config()
    print("LLMConfig", llm.accelerator_config.kind)
    bundles = [{name: int(number) for name, number in bundle.items()} for bundle in engine.placement_bundles]
    print("VLLMEngineConfig", engine.tensor_parallel_degree, bundles, engine.placement_strategy)
