"""python -m uld_explorer"""

import sys

from uld_explorer.cli import main

sys.exit(main())
