"""The docs site: what docs/conf.py does beside Sphinx. ``nox -s docs`` builds it; nothing of it is in the wheel.

Pages below docs/reference/ are written from the code when the site is built, by the modules named like them, and are
not checked in: what is not there cannot be out of date.
"""
