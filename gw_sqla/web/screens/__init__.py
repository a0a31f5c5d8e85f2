"""The screens: one module each; see `gw_sqla.web`."""
