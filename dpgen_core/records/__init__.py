"""What a run leaves on disk, and the privacy statement that goes with it."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dpgen_core.records.record import Record as Record
    from dpgen_core.records.record import load_records as load_records
    from dpgen_core.records.record import write_record as write_record
    from dpgen_core.records.statement import privacy_statement as privacy_statement
    from dpgen_core.records.statement import write_statement as write_statement

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "record": ["Record", "load_records", "write_record"],
        "statement": ["privacy_statement", "write_statement"],
    },
)
