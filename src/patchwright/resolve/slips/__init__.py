"""The slips that mechanical edits undo: one generator each, from a node of the syntax tree to changes of the text."""
