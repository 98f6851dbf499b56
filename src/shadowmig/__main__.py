"""``python -m shadowmig`` is the ``shadowmig`` command."""

import sys

from shadowmig.cli import main

sys.exit(main())
