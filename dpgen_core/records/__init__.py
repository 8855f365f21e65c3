"""What a run leaves on disk, and the privacy statement that goes with it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "record": ["Record", "load_records", "write_record"],
        "statement": ["privacy_statement"],
    },
)
