"""Work that many events request, done at intervals."""

from locutory_debounce.task import DebouncedTask, NoteCollection

__all__ = ["DebouncedTask", "NoteCollection"]
