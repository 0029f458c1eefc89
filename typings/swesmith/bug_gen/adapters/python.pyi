from dataclasses import dataclass

from swesmith.constants import CodeEntity

@dataclass
class PythonEntity(CodeEntity): ...

def get_entities_from_file_py(entities: list[PythonEntity], file_path: str, max_entities: int = -1) -> None: ...
