"""The site's own extensions are modules of a folder that nothing else imports from."""

from __future__ import annotations

import sys

from tests.docs.pages import DOCS

sys.path.insert(0, str(DOCS / "_ext"))
