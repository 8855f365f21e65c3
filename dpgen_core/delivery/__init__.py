"""From your own images to what may leave: a look before, the books, the folder to hand over."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "books": ["Books"],
        "handover": ["hand_over", "write_images"],
        "own_images": ["check", "synthesize"],
    },
)
