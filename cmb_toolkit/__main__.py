"""``python -m cmb_toolkit`` is ``cmbtk``."""

from .cli.main import main

if __name__ == "__main__":
    main()
