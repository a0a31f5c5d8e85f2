"""A table of an application, for tests of the session."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gw_sqla import AsyncAttrs


class Base(AsyncAttrs, DeclarativeBase):
    """The application's own models."""


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(default="")
