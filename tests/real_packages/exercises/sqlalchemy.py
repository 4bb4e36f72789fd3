"""Map two classes with a relationship, store and query them in SQLite in memory."""

from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


def exercise():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Author(name="ann", books=[Book(title="one"), Book(title="two")]))
        session.commit()
        query = select(Author.name, func.count(Book.id)).join(Author.books).group_by(Author.id)
        rows = [list(row) for row in session.execute(query)]
        titles = [book.title for book in session.scalars(select(Book).order_by(Book.title.desc()))]
    engine.dispose()
    return [rows, titles, str(query)]
