"""Work that many events ask for, done now and then."""

from locutory_debounce.task import DebouncedTask, NoteCollection

__all__ = ["DebouncedTask", "NoteCollection"]
