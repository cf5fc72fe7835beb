"""``python -m tulle.daemon``: what ``tulle launch`` starts."""

import sys

from tulle.daemon.main import main

sys.exit(main())
