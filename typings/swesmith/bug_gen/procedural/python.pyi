from swesmith.bug_gen.procedural.base import ProceduralModifier

MODIFIERS_PYTHON: list[ProceduralModifier]
