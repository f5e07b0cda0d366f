"""`python -m gramd` is the command `gramd`."""

import sys

from gramd.cli import main

sys.exit(main())
