"""The forge: instances made from any tested Python project, by breaking it where its tests notice."""
